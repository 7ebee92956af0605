// The client's side of an Upgrade (RFC 9110 section 7.8): asks, and hands out the socket when the server switches.
// The server's side is Peer::take_over in server.h.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>

#include "absl/status/statusor.h"
#include "common/http/client.h"
#include "common/http/server.h"

namespace ringway::http {

struct Upgraded {
  ClientResponse response;
  std::optional<Socket> socket;  // there when the status is 101; bytes that came with the answer are dropped
};

// Sends `request` with "Connection: Upgrade" and "Upgrade: `protocol`". Errors are Fetch's; any status is an answer.
boost::asio::awaitable<absl::StatusOr<Upgraded>> Upgrade(Url url, ClientRequest request, std::string protocol);

}  // namespace ringway::http
