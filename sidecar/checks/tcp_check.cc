// TCP checks: a connect that succeeds. Also the default check of a definition without any.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>

#include "sidecar/checks/run_check.h"

namespace ringway::sidecar {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

// One attempt; shared between the attempt and the one who waits for it no longer than the timeout.
struct Attempt {
  explicit Attempt(const asio::any_io_executor& executor) : resolver(executor), socket(executor), done(executor) {}
  asio::ip::tcp::resolver resolver;
  asio::ip::tcp::socket socket;
  asio::steady_timer done;
  error_code error = asio::error::timed_out;
};

asio::awaitable<void> Connect(std::shared_ptr<Attempt> attempt, std::string host, std::string port) {
  auto [resolve_error, endpoints] = co_await attempt->resolver.async_resolve(host, port, kNoThrow);
  attempt->error = resolve_error;
  if (!resolve_error) {
    auto [connect_error, endpoint] = co_await asio::async_connect(attempt->socket, endpoints, kNoThrow);
    attempt->error = connect_error;
  }
  attempt->done.cancel();
}

}  // namespace

asio::awaitable<CheckResult> RunTcpCheck(const CheckDefinition& check) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const size_t colon = check.target.rfind(':');
  std::string host = check.target.substr(0, colon);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host.empty()) host = "127.0.0.1";
  const std::string port = check.target.substr(colon + 1);
  auto attempt = std::make_shared<Attempt>(executor);
  attempt->done.expires_after(check.timeout);
  asio::co_spawn(executor, Connect(attempt, host, port), asio::detached);
  co_await attempt->done.async_wait(kNoThrow);
  error_code ignored;
  const error_code error = attempt->error;
  attempt->resolver.cancel();
  attempt->socket.close(ignored);
  if (!error) co_return CheckResult{CheckStatus::kPassing, "TCP connect " + check.target + ": Success"};
  co_return CheckResult{CheckStatus::kCritical, "dial tcp " + check.target + ": connect: " + error.message()};
}

}  // namespace ringway::sidecar
