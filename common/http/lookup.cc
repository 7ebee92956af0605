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

// getaddrinfo runs on Asio's one resolver thread and cannot be interrupted: we stop waiting for it, and an answer that comes
// later is remembered for the next one who asks. Until it comes nobody asks for that name again, or an outage would queue
// one try behind the other. One that nobody waits for and that has not begun is cancelled.
struct Asking {
  explicit Asking(const asio::any_io_executor& executor) : resolver(executor) {}
  asio::ip::tcp::resolver resolver;
  std::vector<asio::steady_timer*> waiting;  // each in the frame of its LookUp
  error_code error = asio::error::timed_out;
};

// Under way, by name; weak, because they end with their io_context.
std::map<std::string, std::weak_ptr<Asking>>& UnderWay() {
  thread_local std::map<std::string, std::weak_ptr<Asking>> under_way;
  return under_way;
}

asio::awaitable<void> Ask(std::shared_ptr<Asking> asking, Url url) {
  const std::string port = std::to_string(url.port);
  auto [error, results] =
      co_await asking->resolver.async_resolve(url.host, port, asio::ip::tcp::resolver::numeric_service, kNoThrow);
  asking->error = error;
  std::vector<SocketEndpoint> endpoints;
  for (const auto& entry : results) endpoints.emplace_back(entry.endpoint());
  const std::string key = KeyOf(url);
  if (!error) Remember(key, std::move(endpoints));
  UnderWay().erase(key);
  for (asio::steady_timer* waiting : asking->waiting) waiting->cancel();
}

// The one that is under way for this name, or a new one.
std::shared_ptr<Asking> JoinOrAsk(const asio::any_io_executor& executor, const std::string& key, const Url& url) {
  std::weak_ptr<Asking>& place = UnderWay()[key];
  if (std::shared_ptr<Asking> asking = place.lock()) return asking;
  const auto asking = std::make_shared<Asking>(executor);
  place = asking;
  asio::co_spawn(executor, Ask(asking, url), asio::detached);
  return asking;
}

asio::awaitable<void> Await(std::shared_ptr<Asking> asking, Clock::time_point deadline) {
  asio::steady_timer timer(co_await asio::this_coro::executor, deadline);
  asking->waiting.push_back(&timer);
  co_await timer.async_wait(kNoThrow);
  std::erase(asking->waiting, &timer);
  if (asking->waiting.empty()) asking->resolver.cancel();
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
    const auto under_way = UnderWay().find(key);
    const bool asked = under_way != UnderWay().end() && !under_way->second.expired();
    if (asked || Clock::now() < known->second.ask_at) co_return known->second.endpoints;
    known->second.ask_at = Clock::now() + kPatience;  // meanwhile nobody else asks
    deadline = std::min(deadline, Clock::now() + kPatience);
  }
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  error = asio::error::operation_aborted;
  // Aborted: joined one that was cancelled already.
  while (error == asio::error::operation_aborted && Clock::now() < deadline) {
    const std::shared_ptr<Asking> asking = JoinOrAsk(executor, key, url);
    co_await Await(asking, deadline);
    error = asking->error;
  }
  known = Names().find(key);
  if (known != Names().end()) co_return known->second.endpoints;
  if (error == asio::error::timed_out || error == asio::error::operation_aborted) {
    co_return absl::DeadlineExceededError(absl::StrCat("name lookup of ", url.host));
  }
  co_return absl::UnavailableError(absl::StrCat("cannot resolve ", url.host, ": ", error.message()));
}

void Distrust(const Url& url) {
  const auto known = Names().find(KeyOf(url));
  if (known != Names().end()) known->second.ask_at = Clock::time_point();
}

}  // namespace ringway::http
