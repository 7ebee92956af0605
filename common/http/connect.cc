// Name lookup and connect; see connect.h.
#include "common/http/connect.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/http/lookup.h"

namespace ringway::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

// Tries the addresses in turn; each gets an equal share of the time that is left.
asio::awaitable<error_code> TryAll(Stream& stream, const std::vector<SocketEndpoint>& endpoints,
                                   Clock::time_point deadline) {
  error_code last = asio::error::host_not_found;
  for (size_t i = 0; i < endpoints.size(); ++i) {
    const auto share = (deadline - Clock::now()) / static_cast<int64_t>(endpoints.size() - i);
    if (share <= Clock::duration::zero()) co_return beast::error::timeout;
    error_code ignored;
    stream.socket().close(ignored);
    stream.expires_after(std::chrono::duration_cast<std::chrono::nanoseconds>(share));
    auto [error] = co_await stream.async_connect(endpoints[i], kNoThrow);
    if (!error) co_return error;
    last = error;
  }
  co_return last;
}

}  // namespace

bool IsOwnShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EADDRNOTAVAIL;
}

asio::awaitable<absl::Status> Connect(Stream& stream, const Url& url, Clock::time_point deadline,
                                      const std::string& what) {
  const absl::StatusOr<std::vector<SocketEndpoint>> endpoints = co_await LookUp(url, deadline);
  if (!endpoints.ok()) {
    co_return absl::Status(endpoints.status().code(), absl::StrCat(what, ": ", endpoints.status().message()));
  }
  const error_code error = co_await TryAll(stream, *endpoints, deadline);
  if (!error) co_return absl::OkStatus();
  const std::string message = absl::StrCat(what, ": cannot connect: ", error.message());
  if (IsOwnShortage(error.value())) co_return absl::ResourceExhaustedError(message);
  Distrust(url);
  if (error == beast::error::timeout) co_return absl::DeadlineExceededError(message);
  co_return absl::UnavailableError(message);
}

}  // namespace ringway::http
