// Where a URL's host is: literals, unix sockets, and names with a short memory. A name is looked up again after some
// seconds; while the name service does not answer, the last good addresses go on serving, so that an outage of DNS is none
// of the catalog. The memory belongs to the thread (each io_context has its own), 64 names at most.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <chrono>
#include <vector>

#include "absl/status/statusor.h"
#include "common/http/client.h"

namespace ringway::http {

using SocketEndpoint = boost::asio::generic::stream_protocol::endpoint;

// The addresses of `url`, in the order of the name service. DeadlineExceeded: not by `deadline`; Unavailable: no such name and
// none known from before.
boost::asio::awaitable<absl::StatusOr<std::vector<SocketEndpoint>>> LookUp(Url url, std::chrono::steady_clock::time_point deadline);

// Nothing answers at these addresses: the name is looked up anew next time, however young the answer is.
void Distrust(const Url& url);

}  // namespace ringway::http
