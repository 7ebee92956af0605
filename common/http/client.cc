// An HTTP/1.1 client for cold paths; see client.h. One deadline covers resolving, connecting, sending and receiving.
#include "common/http/client.h"

#include <strings.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/http/connect.h"

namespace ringway::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using BeastRequest = bhttp::request<bhttp::string_body>;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr uint32_t kHeadBytesMax = 256 << 10;

std::string Spell(const Url& url, const ClientRequest& request) {
  if (!url.unix_path.empty()) return absl::StrCat(request.method, " unix:", url.unix_path, " ", request.target);
  return absl::StrCat(request.method, " http://", url.HostHeader(), url.base, request.target);
}

absl::Status TimedOut(const std::string& what, const ClientRequest& request) {
  return absl::DeadlineExceededError(
      absl::StrCat(what, ": no answer within ", request.timeout.count(), " ms"));
}

BeastRequest BuildRequest(const Url& url, const ClientRequest& request) {
  BeastRequest message;
  message.version(11);
  message.method_string(request.method);
  message.target(url.base + request.target);
  message.set(bhttp::field::host, url.HostHeader());
  message.set(bhttp::field::connection, "close");
  for (const auto& [name, value] : request.headers) {
    if (strcasecmp(name.c_str(), "host") == 0) {
      message.set(bhttp::field::host, value);
    } else {
      message.insert(name, value);
    }
  }
  message.body() = request.body;
  message.prepare_payload();
  return message;
}

ClientResponse Converted(bhttp::response<bhttp::string_body> message) {
  ClientResponse response;
  response.status = static_cast<int>(message.result_int());
  response.reason = std::string(message.reason());
  for (const auto& field : message.base()) {
    response.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  response.body = std::move(message.body());
  return response;
}

absl::Status ReadError(const error_code& error, const std::string& what, const ClientRequest& request) {
  if (error == beast::error::timeout) return TimedOut(what, request);
  if (error == bhttp::error::body_limit) {
    return absl::DataLossError(
        absl::StrCat(what, ": the response's body exceeds ", request.body_bytes_max, " bytes"));
  }
  return absl::DataLossError(absl::StrCat(what, ": the response was cut short or is not HTTP: ", error.message()));
}

asio::awaitable<absl::StatusOr<ClientResponse>> Receive(Stream& stream, const std::string& what,
                                                        const ClientRequest& request) {
  beast::flat_buffer buffer;
  for (;;) {
    bhttp::response_parser<bhttp::string_body> parser;
    parser.header_limit(kHeadBytesMax);
    parser.body_limit(request.body_bytes_max);
    if (request.method == "HEAD") parser.skip(true);
    auto [error, size] = co_await bhttp::async_read(stream, buffer, parser, kNoThrow);
    if (error) co_return ReadError(error, what, request);
    const unsigned status = parser.get().result_int();
    if (status >= 100 && status < 200 && status != 101) continue;  // interim, RFC 9110 section 15.2
    co_return Converted(parser.release());
  }
}

}  // namespace

const std::string* ClientResponse::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key.size() == name.size() && strncasecmp(key.data(), name.data(), name.size()) == 0) return &value;
  }
  return nullptr;
}

asio::awaitable<absl::StatusOr<ClientResponse>> Fetch(Url url, ClientRequest request) {
  const Clock::time_point deadline = Clock::now() + request.timeout;
  const std::string what = Spell(url, request);
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  Stream stream(executor);
  const absl::Status connected = co_await Connect(stream, url, deadline, what);
  if (absl::IsDeadlineExceeded(connected)) co_return TimedOut(what, request);
  if (!connected.ok()) co_return connected;
  const BeastRequest message = BuildRequest(url, request);
  stream.expires_at(deadline);
  auto [write_error, size] = co_await bhttp::async_write(stream, message, kNoThrow);
  if (write_error == beast::error::timeout) co_return TimedOut(what, request);
  // A server that refuses a body answers and closes before it has read all of it: its answer counts.
  absl::StatusOr<ClientResponse> response = co_await Receive(stream, what, request);
  if (!response.ok() && write_error) {
    co_return absl::DataLossError(absl::StrCat(what, ": cannot send: ", write_error.message()));
  }
  co_return response;
}

absl::StatusOr<ClientResponse> FetchBlocking(const Url& url, const ClientRequest& request) {
  asio::io_context io(1);
  absl::StatusOr<ClientResponse> result = absl::UnknownError("not run");
  asio::co_spawn(
      io, Fetch(url, request),
      [&result](std::exception_ptr failure, absl::StatusOr<ClientResponse> response) {
        if (failure) {
          result = absl::InternalError("the request threw an exception");
        } else {
          result = std::move(response);
        }
      });
  io.run();
  return result;
}

}  // namespace ringway::http
