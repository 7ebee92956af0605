// One request and its response on a connected stream, plain or TLS; what client.h's functions and channels are made of.
// Coroutines on one io_context.
#pragma once

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/http/client.h"

namespace ringway::http {

using BeastRequest = boost::beast::http::request<boost::beast::http::string_body>;
using BeastResponse = boost::beast::http::response<boost::beast::http::string_body>;

// "GET http://HOST/path", as messages begin.
std::string Spell(const Url& url, const ClientRequest& request);
BeastRequest BuildRequest(const Url& url, const ClientRequest& request, bool keep_alive);
ClientResponse Converted(BeastResponse message);
absl::Status TimedOut(const std::string& what, const ClientRequest& request);
absl::Status ReadError(const boost::system::error_code& error, const std::string& what, const ClientRequest& request);

constexpr uint32_t kResponseHeadBytesMax = 256 << 10;

struct Exchanged {
  absl::StatusOr<ClientResponse> response = absl::UnknownError("no answer yet");
  bool begun = false;       // at least one byte of the response came
  bool keep_alive = false;  // the stream may carry another one
};

// `deadline` for all of it. With request.idle_timeout, a response that has begun must also not pause for longer.
template <typename AnyStream>
boost::asio::awaitable<Exchanged> Exchange(AnyStream& stream, boost::beast::flat_buffer& buffer, const BeastRequest& message,
                                           const ClientRequest& request, std::chrono::steady_clock::time_point deadline,
                                           const std::string& what) {
  namespace bhttp = boost::beast::http;
  constexpr auto kNoThrow = boost::asio::as_tuple(boost::asio::use_awaitable);
  Exchanged exchanged;
  auto& lowest = boost::beast::get_lowest_layer(stream);
  lowest.expires_at(deadline);
  auto [write_error, written] = co_await bhttp::async_write(stream, message, kNoThrow);
  if (write_error == boost::beast::error::timeout) {
    exchanged.response = TimedOut(what, request);
    co_return exchanged;
  }
  // A server that refuses a body answers and closes before it has read all of it: its answer counts.
  for (;;) {
    bhttp::response_parser<bhttp::string_body> parser;
    parser.header_limit(kResponseHeadBytesMax);
    parser.body_limit(request.body_bytes_max);
    parser.eager(true);
    if (request.method == "HEAD") parser.skip(true);
    while (!parser.is_done()) {
      const auto idle_end = std::chrono::steady_clock::now() + request.idle_timeout;
      const bool bounded = exchanged.begun && request.idle_timeout.count() > 0;
      lowest.expires_at(bounded ? std::min(deadline, idle_end) : deadline);
      auto [error, size] = co_await bhttp::async_read_some(stream, buffer, parser, kNoThrow);
      exchanged.begun = exchanged.begun || size > 0 || buffer.size() > 0;
      if (!error) continue;
      exchanged.response = write_error && !exchanged.begun ? absl::DataLossError(what + ": cannot send: " + write_error.message())
                                                           : ReadError(error, what, request);
      co_return exchanged;
    }
    const unsigned status = parser.get().result_int();
    if (status >= 100 && status < 200 && status != 101) continue;  // interim, RFC 9110 section 15.2
    exchanged.keep_alive = !write_error && parser.get().keep_alive();
    exchanged.response = Converted(parser.release());
    co_return exchanged;
  }
}

}  // namespace ringway::http
