// One request on a connection of its own; see client.h. One deadline covers resolving, connecting, sending and receiving.
#include "common/http/client.h"

#include <strings.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/http/connect.h"
#include "common/http/exchange.h"

namespace ringway::http {

namespace asio = boost::asio;

const std::string* ClientResponse::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key.size() == name.size() && strncasecmp(key.data(), name.data(), name.size()) == 0) return &value;
  }
  return nullptr;
}

asio::awaitable<absl::StatusOr<ClientResponse>> Fetch(Url url, ClientRequest request) {
  const auto deadline = std::chrono::steady_clock::now() + request.timeout;
  const std::string what = Spell(url, request);
  if (url.tls) co_return absl::UnimplementedError(absl::StrCat(what, ": wanted http://, this part speaks no TLS"));
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  Stream stream(executor);
  const absl::Status connected = co_await Connect(stream, url, deadline, what);
  if (absl::IsDeadlineExceeded(connected)) co_return TimedOut(what, request);
  if (!connected.ok()) co_return connected;
  boost::beast::flat_buffer buffer;
  const BeastRequest message = BuildRequest(url, request, false);
  Exchanged exchanged = co_await Exchange(stream, buffer, message, request, deadline, what);
  co_return std::move(exchanged.response);
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
