// The client's side of an Upgrade; see upgrade.h.
#include "common/http/upgrade.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "common/http/connect.h"

namespace ringway::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using Clock = std::chrono::steady_clock;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr uint32_t kHeadBytesMax = 16 << 10;

bhttp::request<bhttp::empty_body> BuildUpgrade(const Url& url, const ClientRequest& request, const std::string& protocol) {
  bhttp::request<bhttp::empty_body> message;
  message.version(11);
  message.method_string(request.method);
  message.target(url.base + request.target);
  message.set(bhttp::field::host, url.HostHeader());
  message.set(bhttp::field::connection, "Upgrade");
  message.set(bhttp::field::upgrade, protocol);
  for (const auto& [name, value] : request.headers) message.insert(name, value);
  return message;
}

}  // namespace

asio::awaitable<absl::StatusOr<Upgraded>> Upgrade(Url url, ClientRequest request, std::string protocol) {
  const Clock::time_point deadline = Clock::now() + request.timeout;
  const std::string what = absl::StrCat(request.method, " ", request.target, " (", protocol, ")");
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  Stream stream(executor);
  const absl::Status connected = co_await Connect(stream, url, deadline, what);
  if (!connected.ok()) co_return connected;
  const bhttp::request<bhttp::empty_body> message = BuildUpgrade(url, request, protocol);
  stream.expires_at(deadline);
  auto [write_error, sent] = co_await bhttp::async_write(stream, message, kNoThrow);
  if (write_error) co_return absl::DataLossError(absl::StrCat(what, ": cannot send: ", write_error.message()));
  beast::flat_buffer buffer;
  bhttp::response_parser<bhttp::empty_body> parser;
  parser.header_limit(kHeadBytesMax);
  auto [error, received] = co_await bhttp::async_read_header(stream, buffer, parser, kNoThrow);
  if (error == beast::error::timeout) co_return absl::DeadlineExceededError(absl::StrCat(what, ": no answer in time"));
  if (error) co_return absl::DataLossError(absl::StrCat(what, ": no answer: ", error.message()));
  Upgraded upgraded;
  upgraded.response.status = static_cast<int>(parser.get().result_int());
  for (const auto& field : parser.get().base()) {
    upgraded.response.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  if (upgraded.response.status == 101) upgraded.socket = stream.release_socket();
  co_return upgraded;
}

}  // namespace ringway::http
