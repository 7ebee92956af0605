// See consul_watch.h.
#include "controlplane/discovery/consul_watch.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/http/percent.h"
#include "common/log/log.h"
#include "controlplane/discovery/consul_answer.h"
#include "controlplane/discovery/consul_text.h"

namespace ringway::cp {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
// A question that does not block may wait at the server for a leader (RPCHoldTimeout, 7 s).
constexpr Milliseconds kPlainTimeout{10000};
// A blocking one ends up to a sixteenth of its wait late, says Consul; this much later it hangs.
constexpr Milliseconds kSlack{8000};
constexpr Milliseconds kIdleTimeout{10000};   // between two pieces of an answer
constexpr Milliseconds kSharedWait{2000};     // of a blocking query while others wait for their turn
constexpr Milliseconds kRetryFirst{100};
constexpr Milliseconds kRetryMax{10000};
constexpr Milliseconds kRetryScoutMax{700};
constexpr Milliseconds kSeemsToHang{3000};
constexpr int kFailuresToMove = 3;
constexpr size_t kNodesAskedMax = 64;

// What the token needs so that an empty answer can be told from a forbidden one.
json::array WantedRights(const std::string& service, const std::vector<Instance>& known) {
  json::array wanted;
  wanted.push_back({{"Resource", "service"}, {"Access", "read"}, {"Segment", service}});
  std::set<std::string> nodes;
  for (const Instance& instance : known) nodes.insert(instance.id.substr(0, instance.id.find('/')));
  for (const std::string& node : nodes) {
    if (wanted.size() > kNodesAskedMax) break;
    wanted.push_back({{"Resource", "node"}, {"Access", "read"}, {"Segment", node}});
  }
  return wanted;
}

// Names what is not allowed; empty when everything is, or when the answer says nothing (an older or another server).
std::string Denied(const std::string& body) {
  json::error_code error;
  const json::value document = json::parse(body, error);
  if (error || !document.is_array()) return "";
  for (const json::value& entry : document.get_array()) {
    const json::object* right = entry.if_object();
    const json::value* allow = right == nullptr ? nullptr : right->if_contains("Allow");
    if (allow == nullptr || !allow->is_bool() || allow->get_bool()) continue;
    const json::value* resource = right->if_contains("Resource");
    const json::value* segment = right->if_contains("Segment");
    if (resource == nullptr || segment == nullptr || !resource->is_string() || !segment->is_string()) continue;
    return absl::StrCat(std::string(resource->get_string()), " \"", std::string(segment->get_string()), "\"");
  }
  return "";
}

}  // namespace

ConsulWatch::ConsulWatch(asio::io_context& io, std::shared_ptr<ConsulLink> link, std::shared_ptr<Turns> turns, std::string service, WatchHooks hooks)
    : timer_(io), link_(std::move(link)), turns_(std::move(turns)), service_(std::move(service)), hooks_(std::move(hooks)),
      backoff_(kRetryFirst, kRetryMax), random_(std::random_device()()) {}

void ConsulWatch::Start() { asio::co_spawn(timer_.get_executor(), Run(shared_from_this()), asio::detached); }

void ConsulWatch::Stop() {
  stopped_ = true;
  hooks_ = {};
  timer_.cancel();
  if (channel_) channel_->Close();
}

void ConsulWatch::Restart(Milliseconds spread) {
  restart_ = true;
  spread_ = spread;
  begun_at_ = Clock::now();
  timer_.cancel();
  if (channel_) channel_->Close();
}

void ConsulWatch::Hurry() {
  if (backing_off_ || Clock::now() >= begun_at_ + kSeemsToHang) Restart(Milliseconds(0));
}

asio::awaitable<void> ConsulWatch::Run([[maybe_unused]] std::shared_ptr<ConsulWatch> self) {
  while (!stopped_) {
    if (std::exchange(restart_, false)) {
      channel_.reset();
      index_.Restart();
      backoff_.Reset();
      failures_ = 0;
      if (spread_.count() > 0) co_await Sleep(Milliseconds(std::uniform_int_distribution<int64_t>(0, spread_.count())(random_)));
      continue;
    }
    if (!has_turn_) {
      std::shared_ptr<Turns> turns = turns_;
      co_await Turns::Take(std::move(turns));
      has_turn_ = true;
      if (stopped_ || restart_) continue;
    }
    begun_at_ = Clock::now();
    const absl::StatusOr<bool> changed = co_await Ask();
    if (turns_->contended()) LetGo();
    if (stopped_ || restart_) continue;
    Milliseconds pause;
    if (changed.ok()) {
      backoff_.Reset();
      failures_ = 0;
      pause = budget_.Spend(*changed, Clock::now());
    } else {
      Failed(changed.status());
      const bool scout = hooks_.scout && hooks_.scout();
      pause = WithJitter(scout ? std::min(backoff_.Next(), kRetryScoutMax) : backoff_.Next(), random_);
    }
    if (pause.count() == 0) continue;
    backing_off_ = !changed.ok();
    co_await Sleep(pause);
    backing_off_ = false;
  }
  LetGo();
}

void ConsulWatch::LetGo() {
  channel_.reset();
  if (std::exchange(has_turn_, false)) turns_->GiveBack();
}

asio::awaitable<void> ConsulWatch::Sleep(Milliseconds time) {
  if (stopped_ || restart_) co_return;
  timer_.expires_after(time);
  co_await timer_.async_wait(kNoThrow);
}

void ConsulWatch::Failed(const absl::Status& status) {
  channel_.reset();
  index_.Restart();
  if (++failures_ >= kFailuresToMove && !absl::IsPermissionDenied(status)) link_->TryAnother();
  if (hooks_.failed) hooks_.failed(FirstLine(std::string_view(status.message().data(), status.message().size())));
}

// One question and what becomes of its answer: whether there was anything new.
asio::awaitable<absl::StatusOr<bool>> ConsulWatch::Ask() {
  const absl::StatusOr<http::ClientResponse> response = co_await Query();
  if (stopped_ || restart_) co_return absl::CancelledError("");
  if (!response.ok()) {
    // A connection may end while a question waits (a restarted agent, a proxy's idle time-out), and what waited there may be
    // history: asked from the beginning, once without calling it a failure.
    const bool cut = index_.next() != 0 && absl::IsDataLoss(response.status()) && !std::exchange(cut_, true);
    if (!cut) co_return response.status();
    channel_.reset();
    index_.Restart();
    co_return false;
  }
  cut_ = false;
  if (response->status == 403) {
    link_->OnForbidden();
    const std::string& problem = link_->token_problem();
    co_return absl::PermissionDeniedError(absl::StrCat("the ACL token was refused (403 ", FirstLine(response->body), ")", problem.empty() ? "" : "; ", problem));
  }
  const std::string what = absl::StrCat("service ", service_, ": ");
  if (response->status != 200) co_return absl::UnavailableError(absl::StrCat(what, response->status, " ", FirstLine(response->body)));
  const std::string* header = response->Header("X-Consul-Index");
  uint64_t index = 0;
  if (header == nullptr || !absl::SimpleAtoi(*header, &index)) co_return absl::DataLossError(what + "wanted a header X-Consul-Index");
  absl::StatusOr<std::vector<Instance>> instances = ParseHealthService(response->body);
  if (!instances.ok()) co_return absl::DataLossError(absl::StrCat(what, instances.status().message()));

  if (!index_.Take(index)) {
    spdlog::debug("catalog: {}index went back to {}; asked anew", what, index);
    co_return false;
  }
  if (instances->empty() && (!ever_answered_ || !hooks_.known().empty())) {
    if (std::exchange(doubt_empty_, false)) {
      index_.Restart();
      co_return false;
    }
    const absl::Status may = co_await MayBeEmpty();
    if (stopped_ || restart_) co_return absl::CancelledError("");
    if (!may.ok()) co_return may;
  }
  doubt_empty_ = true;
  ever_answered_ = true;
  const bool changed = hooks_.answered(*std::move(instances));
  if (hooks_.followed) hooks_.followed();
  co_return changed;
}

asio::awaitable<absl::StatusOr<http::ClientResponse>> ConsulWatch::Query() {
  const ConsulConfig& config = link_->config();
  const Clock::time_point now = Clock::now();
  if (now >= resync_at_) index_.Restart();
  const bool blocking = index_.next() != 0;
  if (!blocking) resync_at_ = now + Milliseconds(config.resync_ms);
  Milliseconds wait = std::min(Milliseconds(config.wait_ms), std::chrono::duration_cast<Milliseconds>(resync_at_ - now) + Milliseconds(1));
  if (turns_->contended()) wait = std::min(wait, kSharedWait);
  const std::string path = "/v1/health/service/" + http::PercentEncoded(service_);
  const std::string query = blocking ? absl::StrCat("&index=", index_.next(), "&wait=", wait.count(), "ms") : "";
  // A question from the beginning believes whatever comes: a server that has just started may not have caught up, the leader has.
  const auto answerer = blocking ? ConsulLink::Answerer::kAsConfigured : ConsulLink::Answerer::kLeader;
  http::ClientRequest request = link_->Read(path, query, answerer);
  request.timeout = blocking ? wait + wait / 16 + kSlack : kPlainTimeout;
  request.idle_timeout = kIdleTimeout;
  request.resend = !blocking;
  if (!channel_) channel_ = link_->MakeChannel();
  const std::shared_ptr<http::Channel> channel = channel_;
  co_return co_await channel->Fetch(std::move(request));
}

asio::awaitable<absl::Status> ConsulWatch::MayBeEmpty() {
  http::ClientRequest request = link_->Post("/v1/internal/acl/authorize", json::serialize(WantedRights(service_, hooks_.known())));
  request.timeout = kPlainTimeout;
  const std::shared_ptr<http::Channel> channel = channel_;
  if (!channel) co_return absl::CancelledError("");
  const absl::StatusOr<http::ClientResponse> response = co_await channel->Fetch(std::move(request));
  if (!response.ok()) co_return response.status();
  if (response->status != 200) co_return absl::OkStatus();  // ACLs are off, or not a server that can be asked
  const std::string denied = Denied(response->body);
  if (denied.empty()) co_return absl::OkStatus();
  link_->OnForbidden();
  co_return absl::PermissionDeniedError(absl::StrCat("service ", service_, ": the ACL token may not read ", denied,
                                                     ", so that an empty answer means nothing (wanted a policy with service_prefix and node_prefix read)"));
}

}  // namespace ringway::cp
