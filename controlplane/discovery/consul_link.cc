// See consul_link.h.
#include "controlplane/discovery/consul_link.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/http/percent.h"
#include "common/http/tls_client.h"
#include "common/log/log.h"
#include "controlplane/discovery/consul_text.h"
#include "controlplane/kept_file.h"

namespace ringway::cp {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::seconds kMoveAtMostEvery{5};
constexpr std::chrono::seconds kReadTokenAtMostEvery{1};

}  // namespace

struct ConsulLink::Address {
  Address(asio::io_context& io, http::Url parsed) : url(std::move(parsed)), timer(io) {}
  const http::Url url;
  std::unique_ptr<http::Channel> channel;
  asio::steady_timer timer;
};

absl::StatusOr<std::shared_ptr<ConsulLink>> ConsulLink::Open(asio::io_context& io, const ConsulConfig& config) {
  const std::shared_ptr<ConsulLink> link(new ConsulLink(io, config));
  if (config.addresses.empty()) return absl::InvalidArgumentError("catalog.address: wanted at least one");
  bool tls = false;
  for (const std::string& address : config.addresses) {
    const absl::StatusOr<http::Url> url = http::ParseUrlOrTls(address);
    if (!url.ok()) return absl::InvalidArgumentError(absl::StrCat("catalog.address: ", url.status().message()));
    tls = tls || url->tls;
    link->addresses_.push_back(std::make_unique<Address>(io, *url));
  }
  if (tls) {
    http::TlsOptions options{config.tls_ca_file, config.tls_cert_file, config.tls_key_file, config.tls_server_name, config.tls_verify};
    auto client = http::TlsClient::Load(std::move(options));
    if (!client.ok()) return absl::InvalidArgumentError(absl::StrCat("catalog.tls: ", client.status().message()));
    link->tls_ = *std::move(client);
    if (!config.tls_verify) spdlog::warn("catalog: tls.verify is off: any server that answers on a Consul's address is believed");
  }
  if (const absl::Status read = link->ReadToken(); !read.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("catalog.token_file: ", read.message()));
  }
  return link;
}

ConsulLink::ConsulLink(asio::io_context& io, ConsulConfig config) : io_(io), config_(std::move(config)) {}

absl::Status ConsulLink::ReadToken() {
  token_read_at_ = Clock::now();
  if (config_.token_file.empty()) {
    token_ = config_.token;
    return absl::OkStatus();
  }
  const absl::StatusOr<std::string> text = ReadKept(config_.token_file);
  if (!text.ok()) return text.status();
  token_ = std::string(absl::StripAsciiWhitespace(*text));
  return token_.empty() ? absl::InvalidArgumentError(config_.token_file + ": wanted an ACL token, the file is empty") : absl::OkStatus();
}

void ConsulLink::OnForbidden() {
  if (config_.token_file.empty() || Clock::now() < token_read_at_ + kReadTokenAtMostEvery) return;
  const std::string before = token_;
  const absl::Status read = ReadToken();
  token_problem_ = std::string(read.message());
  if (!read.ok()) {
    token_ = before;
  } else if (token_ != before) {
    spdlog::info("catalog: the token was refused; {} holds a new one, which is used from now on", config_.token_file);
  }
}

void ConsulLink::Start(std::function<void()> restored, std::function<void()> probed) {
  restored_ = std::move(restored);
  probed_ = std::move(probed);
  for (size_t i = 0; i < addresses_.size(); ++i) asio::co_spawn(io_, Probe(shared_from_this(), i), asio::detached);
}

ConsulLink::~ConsulLink() = default;

void ConsulLink::Stop() {
  stopped_ = true;
  restored_ = probed_ = nullptr;
  for (const auto& address : addresses_) {
    address->timer.cancel();
    if (address->channel) address->channel->Close();
  }
}

std::unique_ptr<http::Channel> ConsulLink::MakeChannel() {
  const http::Url& url = addresses_[in_use_]->url;
  return url.tls ? tls_->MakeChannel(io_.get_executor(), url) : http::MakeChannel(io_.get_executor(), url);
}

void ConsulLink::AddTokenTo(http::ClientRequest& request) const {
  request.connect_timeout = kConnectTimeout;
  if (!token_.empty()) request.headers.emplace_back("X-Consul-Token", token_);
}

http::ClientRequest ConsulLink::Read(const std::string& path, const std::string& query, Answerer answerer) const {
  http::ClientRequest request;
  const bool stale = config_.stale && answerer == Answerer::kAsConfigured;
  request.target = absl::StrCat(path, stale ? "?stale" : "?", config_.datacenter.empty() ? "" : "&dc=" + http::PercentEncoded(config_.datacenter), query);
  AddTokenTo(request);
  return request;
}

http::ClientRequest ConsulLink::Post(const std::string& path, std::string body) const {
  http::ClientRequest request;
  request.method = "POST";
  request.target = path + (config_.datacenter.empty() ? "" : "?dc=" + http::PercentEncoded(config_.datacenter));
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = std::move(body);
  AddTokenTo(request);
  return request;
}

// One coroutine an address. Those that are not in use rest while the one in use is well.
asio::awaitable<void> ConsulLink::Probe([[maybe_unused]] std::shared_ptr<ConsulLink> self, size_t number) {
  Address& address = *addresses_[number];
  while (!stopped_) {
    const bool needed = number == in_use_ || !ok_ || want_another_;
    if (needed) {
      const absl::Status status = co_await ProbeOnce(address);
      if (stopped_) break;
      OnProbed(number, status);
      if (stopped_) break;
    } else {
      address.channel.reset();
    }
    address.timer.expires_after(ok_ && !want_another_ ? kProbeEvery : kProbeEveryDown);
    co_await address.timer.async_wait(kNoThrow);
  }
}

asio::awaitable<absl::Status> ConsulLink::ProbeOnce(Address& address) {
  if (!address.channel) {
    address.channel = address.url.tls ? tls_->MakeChannel(io_.get_executor(), address.url) : http::MakeChannel(io_.get_executor(), address.url);
  }
  http::ClientRequest request;
  request.target = "/v1/status/leader";
  request.timeout = kProbeTimeout;
  request.connect_timeout = kConnectTimeout;
  const std::string what = "GET " + request.target;
  const absl::StatusOr<http::ClientResponse> response = co_await address.channel->Fetch(std::move(request));
  if (!response.ok()) {
    address.channel.reset();
    co_return response.status();
  }
  const std::string body(absl::StripAsciiWhitespace(response->body));
  if (response->status != 200) co_return absl::UnavailableError(absl::StrCat(what, ": ", response->status, " ", FirstLine(body)));
  if (body == "\"\"") co_return absl::UnavailableError("the cluster has no leader");
  const bool is_text = body.size() > 2 && body.front() == '"' && body.back() == '"';
  if (!is_text) co_return absl::DataLossError(what + ": wanted the leader's address, got \"" + FirstLine(body) + "\"");
  co_return absl::OkStatus();
}

void ConsulLink::OnProbed(size_t number, const absl::Status& status) {
  if (number != in_use_) {
    if (status.ok() && (!ok_ || want_another_)) Use(number);
    return;
  }
  const bool was_ok = std::exchange(ok_, status.ok());
  error_ = status.ok() ? "" : FirstLine(std::string_view(status.message().data(), status.message().size()));
  if (was_ok && !ok_) WakeOthers();
  if (!was_ok && ok_ && restored_) restored_();
  if (probed_) probed_();
}

void ConsulLink::Use(size_t number) {
  spdlog::log(error_ == "has not answered yet" ? spdlog::level::debug : spdlog::level::info, "catalog: {} is used instead of {}{}", config_.addresses[number],
              address(), error_.empty() ? "" : ": " + error_);
  in_use_ = number;
  ok_ = true;
  want_another_ = false;
  error_.clear();
  moved_at_ = Clock::now();
  if (restored_) restored_();
  if (probed_) probed_();
}

void ConsulLink::WakeOthers() {
  for (size_t i = 0; i < addresses_.size(); ++i) {
    if (i != in_use_) addresses_[i]->timer.cancel();
  }
}

void ConsulLink::TryAnother() {
  if (addresses_.size() < 2 || want_another_ || Clock::now() < moved_at_ + kMoveAtMostEvery) return;
  want_another_ = true;
  WakeOthers();
}

}  // namespace ringway::cp
