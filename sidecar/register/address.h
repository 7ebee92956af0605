// The address under which others reach this container.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <string>

#include "absl/status/statusor.h"
#include "common/http/client.h"

namespace ringway::sidecar {

// The source address the kernel picks for a packet to the catalog (connect on a UDP socket, nothing is sent).
// Unavailable when the catalog's name does not resolve or no route leads there, DeadlineExceeded when the name service is slow.
boost::asio::awaitable<absl::StatusOr<std::string>> OwnAddressTowards(http::Url catalog,
                                                                      std::chrono::milliseconds timeout);

}  // namespace ringway::sidecar
