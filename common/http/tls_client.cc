// TLS for channels; see tls_client.h.
#include "common/http/tls_client.h"

#include <openssl/ssl.h>
#include <sys/stat.h>

#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/http/channel_of.h"
#include "common/http/connect.h"
#include "common/log/log.h"

namespace ringway::http {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using boost::system::error_code;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

absl::Status Bad(const std::string& file, const char* wanted, const error_code& error) {
  return absl::InvalidArgumentError(absl::StrCat(file, ": wanted ", wanted, ": ", error.message()));
}

absl::StatusOr<std::shared_ptr<ssl::context>> MakeContext(const TlsOptions& options) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
  error_code error;
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  context->set_verify_mode(options.verify ? ssl::verify_peer : ssl::verify_none, error);
  if (options.ca_file.empty()) {
    context->set_default_verify_paths(error);
    if (error) return Bad("the system's certificates", "to read them", error);
  } else {
    context->load_verify_file(options.ca_file, error);
    if (error) return Bad(options.ca_file, "CA certificates in PEM form", error);
  }
  if (options.cert_file.empty()) return context;
  context->use_certificate_chain_file(options.cert_file, error);
  if (error) return Bad(options.cert_file, "a certificate in PEM form", error);
  context->use_private_key_file(options.key_file, ssl::context::pem, error);
  if (error) return Bad(options.key_file, "the certificate's private key in PEM form", error);
  return context;
}

struct TlsWire {
  TlsWire(const asio::any_io_executor& executor, std::shared_ptr<ssl::context> used, const TlsOptions& given)
      : context(std::move(used)), options(given), secure(executor, *context) {}

  asio::awaitable<absl::Status> Open(Url url, std::chrono::steady_clock::time_point deadline, std::string what) {
    const absl::Status connected = co_await Connect(secure.next_layer(), url, deadline, what);
    if (!connected.ok()) co_return connected;
    const std::string name = options.server_name.empty() ? url.host : options.server_name;
    error_code error;
    asio::ip::make_address(name, error);
    if (error) SSL_ctrl(secure.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(name.c_str()));
    if (options.verify) secure.set_verify_callback(ssl::host_name_verification(name));
    secure.next_layer().expires_at(deadline);
    auto [failed] = co_await secure.async_handshake(ssl::stream_base::client, kNoThrow);
    if (!failed) co_return absl::OkStatus();
    if (failed == boost::beast::error::timeout) co_return absl::DeadlineExceededError(what + ": TLS handshake: no answer");
    const char* hint = options.verify && failed.message().find("certificate verify failed") != std::string::npos
                           ? " (wanted a certificate of the given CA for the server's name)" : "";
    co_return absl::UnavailableError(absl::StrCat(what, ": TLS handshake: ", failed.message(), hint));
  }
  ssl::stream<Stream>& stream() { return secure; }
  // Without a close_notify: the peer is not waited for, and no answer of it is believed unless it is whole.
  void Shut() { secure.next_layer().close(); }

  const std::shared_ptr<ssl::context> context;
  const TlsOptions options;
  ssl::stream<Stream> secure;
  boost::beast::flat_buffer buffer;
};

class FileTlsClient final : public TlsClient, public std::enable_shared_from_this<FileTlsClient> {
 public:
  FileTlsClient(TlsOptions options, std::shared_ptr<ssl::context> context)
      : options_(std::move(options)), context_(std::move(context)), seen_(Times()) {}

  std::unique_ptr<Channel> MakeChannel(asio::any_io_executor executor, Url url) override {
    return std::make_unique<ChannelOf<TlsWire>>(std::move(url), [executor, self = shared_from_this()] {
      self->Refresh();
      return std::make_shared<TlsWire>(executor, self->context_, self->options_);
    });
  }

  std::array<int64_t, 3> Times() const {
    std::array<int64_t, 3> times{};
    const std::string* files[] = {&options_.ca_file, &options_.cert_file, &options_.key_file};
    for (size_t i = 0; i < times.size(); ++i) {
      struct stat file{};
      if (!files[i]->empty() && stat(files[i]->c_str(), &file) == 0) times[i] = file.st_mtim.tv_sec * 1'000'000'000 + file.st_mtim.tv_nsec;
    }
    return times;
  }

 private:
  void Refresh() {
    const std::array<int64_t, 3> times = Times();
    if (times == std::exchange(seen_, times)) return;
    auto context = MakeContext(options_);
    if (!context.ok()) return spdlog::error("tls: {}; what was read before stays in use", std::string(context.status().message()));
    context_ = *std::move(context);
    spdlog::info("tls: certificates were read again");
  }

  const TlsOptions options_;
  std::shared_ptr<ssl::context> context_;
  std::array<int64_t, 3> seen_;  // modification times of the three files
};

}  // namespace

absl::StatusOr<std::shared_ptr<TlsClient>> TlsClient::Load(TlsOptions options) {
  auto context = MakeContext(options);
  if (!context.ok()) return context.status();
  return std::make_shared<FileTlsClient>(std::move(options), *std::move(context));
}

}  // namespace ringway::http
