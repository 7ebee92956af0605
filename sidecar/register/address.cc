// Asked anew at each registration: a container may have been given another network meanwhile.
#include "sidecar/register/address.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>

namespace ringway::sidecar {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

struct Lookup {
  explicit Lookup(const asio::any_io_executor& executor) : resolver(executor), done(executor) {}
  udp::resolver resolver;
  asio::steady_timer done;
  boost::system::error_code error = asio::error::timed_out;
  udp::resolver::results_type endpoints;
};

asio::awaitable<void> Resolve(std::shared_ptr<Lookup> lookup, std::string host, std::string port) {
  auto [error, endpoints] = co_await lookup->resolver.async_resolve(host, port, kNoThrow);
  lookup->error = error;
  lookup->endpoints = endpoints;
  lookup->done.cancel();
}

}  // namespace

asio::awaitable<absl::StatusOr<std::string>> OwnAddressTowards(http::Url catalog, std::chrono::milliseconds timeout) {
  if (!catalog.unix_path.empty()) co_return std::string("127.0.0.1");
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  auto lookup = std::make_shared<Lookup>(executor);
  lookup->done.expires_after(timeout);
  asio::co_spawn(executor, Resolve(lookup, catalog.host, std::to_string(catalog.port)), asio::detached);
  co_await lookup->done.async_wait(kNoThrow);
  if (lookup->error) {
    co_return absl::UnavailableError("cannot resolve " + catalog.host + ": " + lookup->error.message());
  }
  for (const auto& entry : lookup->endpoints) {
    boost::system::error_code error;
    udp::socket probe(executor);
    probe.open(entry.endpoint().protocol(), error);
    if (!error) probe.connect(entry.endpoint(), error);
    if (error) continue;
    const udp::endpoint own = probe.local_endpoint(error);
    if (!error) co_return own.address().to_string();
  }
  co_return absl::UnavailableError("no route to " + catalog.host);
}

}  // namespace ringway::sidecar
