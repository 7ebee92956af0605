// Asked anew at each registration: a container may have been given another network meanwhile.
#include "sidecar/register/address.h"

#include <boost/asio/ip/udp.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstring>
#include <utility>
#include <vector>

#include "common/http/lookup.h"

namespace ringway::sidecar {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;

// The same address and port, for a socket that sends nothing.
udp::endpoint ProbeOf(const http::SocketEndpoint& endpoint) {
  udp::endpoint probe;
  std::memcpy(probe.data(), endpoint.data(), endpoint.size());
  probe.resize(endpoint.size());
  return probe;
}

}  // namespace

asio::awaitable<absl::StatusOr<std::string>> OwnAddressTowards(http::Url catalog, std::chrono::milliseconds timeout) {
  if (!catalog.unix_path.empty()) co_return std::string("127.0.0.1");
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const absl::StatusOr<std::vector<http::SocketEndpoint>> endpoints =
      co_await http::LookUp(catalog, std::chrono::steady_clock::now() + timeout);
  if (!endpoints.ok()) co_return endpoints.status();
  for (const http::SocketEndpoint& found : *endpoints) {
    const udp::endpoint endpoint = ProbeOf(found);
    boost::system::error_code error;
    udp::socket probe(executor);
    probe.open(endpoint.protocol(), error);
    if (!error) probe.connect(endpoint, error);
    if (error) continue;
    const udp::endpoint own = probe.local_endpoint(error);
    if (!error) co_return own.address().to_string();
  }
  co_return absl::UnavailableError("no route to " + catalog.host);
}

}  // namespace ringway::sidecar
