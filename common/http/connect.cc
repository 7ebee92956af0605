// Name lookup and connect; see connect.h.
#include "common/http/connect.h"

#include <sys/un.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace ringway::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Endpoint = asio::generic::stream_protocol::endpoint;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

// getaddrinfo runs on Asio's resolver thread and cannot be interrupted: we stop waiting for it at the deadline.
struct Lookup {
  explicit Lookup(const asio::any_io_executor& executor) : resolver(executor), done(executor) {}
  asio::ip::tcp::resolver resolver;
  asio::steady_timer done;
  error_code error = asio::error::timed_out;
  std::vector<Endpoint> endpoints;
};

asio::awaitable<void> Resolve(std::shared_ptr<Lookup> lookup, std::string host, std::string port) {
  auto [error, results] = co_await lookup->resolver.async_resolve(
      host, port, asio::ip::tcp::resolver::numeric_service, kNoThrow);
  lookup->error = error;
  for (const auto& entry : results) lookup->endpoints.emplace_back(entry.endpoint());
  lookup->done.cancel();
}

asio::awaitable<absl::StatusOr<std::vector<Endpoint>>> Endpoints(const Url& url,
                                                                 Clock::time_point deadline) {
  std::vector<Endpoint> endpoints;
  if (!url.unix_path.empty()) {
    if (url.unix_path.size() >= sizeof(sockaddr_un{}.sun_path)) {
      co_return absl::InvalidArgumentError("the socket's path is too long");
    }
    endpoints.emplace_back(asio::local::stream_protocol::endpoint(url.unix_path));
    co_return endpoints;
  }
  error_code error;
  const asio::ip::address literal = asio::ip::make_address(url.host, error);
  if (!error) {
    endpoints.emplace_back(asio::ip::tcp::endpoint(literal, url.port));
    co_return endpoints;
  }
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto lookup = std::make_shared<Lookup>(executor);
  lookup->done.expires_at(deadline);
  asio::co_spawn(executor, Resolve(lookup, url.host, std::to_string(url.port)), asio::detached);
  co_await lookup->done.async_wait(kNoThrow);
  if (lookup->error) {
    if (lookup->error == asio::error::timed_out) co_return absl::DeadlineExceededError("name lookup");
    co_return absl::UnavailableError(absl::StrCat("cannot resolve ", url.host, ": ", lookup->error.message()));
  }
  co_return std::move(lookup->endpoints);
}

// Tries the addresses in turn; each gets an equal share of the time that is left.
asio::awaitable<error_code> TryAll(Stream& stream, const std::vector<Endpoint>& endpoints,
                                   Clock::time_point deadline) {
  error_code last = asio::error::host_not_found;
  for (size_t i = 0; i < endpoints.size(); ++i) {
    const auto share = (deadline - Clock::now()) / static_cast<int64_t>(endpoints.size() - i);
    if (share <= Clock::duration::zero()) co_return beast::error::timeout;
    error_code ignored;
    stream.socket().close(ignored);
    stream.expires_after(std::chrono::duration_cast<std::chrono::nanoseconds>(share));
    auto [error] = co_await stream.async_connect(endpoints[i], kNoThrow);
    if (!error) co_return error;
    last = error;
  }
  co_return last;
}

}  // namespace

bool IsOwnShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EADDRNOTAVAIL;
}

asio::awaitable<absl::Status> Connect(Stream& stream, const Url& url, Clock::time_point deadline,
                                      const std::string& what) {
  const absl::StatusOr<std::vector<Endpoint>> endpoints = co_await Endpoints(url, deadline);
  if (!endpoints.ok()) {
    co_return absl::Status(endpoints.status().code(), absl::StrCat(what, ": ", endpoints.status().message()));
  }
  const error_code error = co_await TryAll(stream, *endpoints, deadline);
  if (!error) co_return absl::OkStatus();
  const std::string message = absl::StrCat(what, ": cannot connect: ", error.message());
  if (error == beast::error::timeout) co_return absl::DeadlineExceededError(message);
  if (IsOwnShortage(error.value())) co_return absl::ResourceExhaustedError(message);
  co_return absl::UnavailableError(message);
}

}  // namespace ringway::http
