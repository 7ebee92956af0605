// The client's way to a server: name lookup and connect, under one deadline. Coroutines on one io_context.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "common/http/client.h"

namespace ringway::http {

using Stream = boost::beast::basic_stream<boost::asio::generic::stream_protocol>;

// Connects `stream`. DeadlineExceeded: not by `deadline`; ResourceExhausted: this process is short of something (see
// IsOwnShortage); Unavailable: everything else. Messages begin with `what`.
boost::asio::awaitable<absl::Status> Connect(Stream& stream, const Url& url, std::chrono::steady_clock::time_point deadline,
                                             const std::string& what);

}  // namespace ringway::http
