// Name lookup with last good addresses; see lookup.h.
#include "common/http/lookup.h"

#include <sys/un.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ringway::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::seconds kFresh{5};
// With addresses from before, a name service that is slow is not waited for longer.
constexpr std::chrono::milliseconds kPatience{500};
constexpr size_t kNamesMax = 64;

struct Name {
  std::vector<SocketEndpoint> endpoints;  // the last good ones
  Clock::time_point ask_at;               // not before
};

std::map<std::string, Name>& Names() {
  thread_local std::map<std::string, Name> names;
  return names;
}

std::string KeyOf(const Url& url) { return absl::StrCat(url.host, " ", url.port); }

void Remember(const std::string& key, std::vector<SocketEndpoint> endpoints) {
  std::map<std::string, Name>& names = Names();
  if (names.size() >= kNamesMax && !names.contains(key)) names.clear();
  names[key] = {std::move(endpoints), Clock::now() + kFresh};
}

// getaddrinfo runs on Asio's resolver thread and cannot be interrupted: we stop waiting for it, and an answer that comes
// later is remembered for the next one who asks.
struct Asking {
  explicit Asking(const asio::any_io_executor& executor) : resolver(executor), done(executor) {}
  asio::ip::tcp::resolver resolver;
  asio::steady_timer done;
  error_code error = asio::error::timed_out;
};

asio::awaitable<void> Ask(std::shared_ptr<Asking> asking, Url url) {
  const std::string port = std::to_string(url.port);
  auto [error, results] =
      co_await asking->resolver.async_resolve(url.host, port, asio::ip::tcp::resolver::numeric_service, kNoThrow);
  asking->error = error;
  std::vector<SocketEndpoint> endpoints;
  for (const auto& entry : results) endpoints.emplace_back(entry.endpoint());
  if (!error) Remember(KeyOf(url), std::move(endpoints));
  asking->done.cancel();
}

absl::StatusOr<std::vector<SocketEndpoint>> UnixEndpoint(const std::string& path) {
  if (path.size() >= sizeof(sockaddr_un{}.sun_path)) return absl::InvalidArgumentError("the socket's path is too long");
  return std::vector<SocketEndpoint>{asio::local::stream_protocol::endpoint(path)};
}

}  // namespace

asio::awaitable<absl::StatusOr<std::vector<SocketEndpoint>>> LookUp(Url url, Clock::time_point deadline) {
  if (!url.unix_path.empty()) co_return UnixEndpoint(url.unix_path);
  error_code error;
  const asio::ip::address literal = asio::ip::make_address(url.host, error);
  if (!error) co_return std::vector<SocketEndpoint>{asio::ip::tcp::endpoint(literal, url.port)};

  const std::string key = KeyOf(url);
  auto known = Names().find(key);
  if (known != Names().end()) {
    if (Clock::now() < known->second.ask_at) co_return known->second.endpoints;
    known->second.ask_at = Clock::now() + kPatience;  // meanwhile nobody else asks
    deadline = std::min(deadline, Clock::now() + kPatience);
  }
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto asking = std::make_shared<Asking>(executor);
  asking->done.expires_at(deadline);
  asio::co_spawn(executor, Ask(asking, url), asio::detached);
  co_await asking->done.async_wait(kNoThrow);
  known = Names().find(key);
  if (known != Names().end()) co_return known->second.endpoints;
  if (asking->error == asio::error::timed_out) co_return absl::DeadlineExceededError("name lookup");
  co_return absl::UnavailableError(absl::StrCat("cannot resolve ", url.host, ": ", asking->error.message()));
}

void Distrust(const Url& url) {
  const auto known = Names().find(KeyOf(url));
  if (known != Names().end()) known->second.ask_at = Clock::time_point();
}

}  // namespace ringway::http
