// See probe.h.
#include "controlplane/health/probe.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>

#include "common/http/client.h"
#include "controlplane/config/duration.h"
#include "controlplane/config/net_names.h"

namespace ringway::cp {

namespace asio = boost::asio;

namespace {

std::string FormatRanges(const std::vector<StatusRange>& ranges) {
  std::string text;
  for (const StatusRange& range : ranges) {
    if (!text.empty()) text += ',';
    if (range.first == range.last) {
      text += std::to_string(range.first);
    } else if (range.first % 100 == 0 && range.last % 100 == 99) {
      for (int hundred = range.first / 100; hundred <= range.last / 100; ++hundred) {
        text += (text.empty() || text.back() == ',' ? "" : ",") + std::to_string(hundred) + "xx";
      }
    } else {
      text += std::to_string(range.first) + "-" + std::to_string(range.last);
    }
  }
  return text;
}

asio::awaitable<ProbeResult> ProbeHttp(HealthCheck check, std::string address, uint16_t port) {
  http::Url url;
  url.host = address;
  url.port = port;
  http::ClientRequest request;
  request.method = check.method;
  request.target = check.path;
  request.headers.emplace_back("Host", check.host);
  request.headers.emplace_back("User-Agent", "ringway-check");
  request.timeout = std::chrono::milliseconds(check.timeout_ms);
  request.body_bytes_max = 4u << 20;
  const auto response = co_await http::Fetch(url, request);
  ProbeResult result;
  if (!response.ok()) {
    result.not_made = absl::IsResourceExhausted(response.status());
    result.reason = std::string(response.status().message());
    co_return result;
  }
  result.success = std::any_of(check.expect_status.begin(), check.expect_status.end(), [&](const StatusRange& range) {
    return response->status >= range.first && response->status <= range.last;
  });
  if (!result.success) {
    result.reason = check.method + " " + check.path + " answered " + std::to_string(response->status) + ", wanted " + FormatRanges(check.expect_status);
  }
  co_return result;
}

asio::awaitable<ProbeResult> ProbeTcp(HealthCheck check, std::string address, uint16_t port) {
  const auto executor = co_await asio::this_coro::executor;
  const auto socket = std::make_shared<asio::ip::tcp::socket>(executor);
  const auto expired = std::make_shared<bool>(false);
  asio::steady_timer timer(executor, std::chrono::milliseconds(check.timeout_ms));
  timer.async_wait([socket, expired](boost::system::error_code error) {
    if (error) return;
    *expired = true;
    boost::system::error_code ignored;
    socket->close(ignored);
  });
  const asio::ip::tcp::endpoint peer(asio::ip::make_address(address), port);
  boost::system::error_code error;
  co_await socket->async_connect(peer, asio::redirect_error(asio::use_awaitable, error));
  timer.cancel();
  ProbeResult result;
  result.success = !error;
  result.not_made = http::IsOwnShortage(error.value());
  if (error) {
    const std::string where = "TCP connect to " + FormatHostPort(address, port) + ": ";
    result.reason = where + (*expired ? "no answer within " + FormatDuration(check.timeout_ms) : error.message());
  }
  co_return result;
}

}  // namespace

asio::awaitable<ProbeResult> ProbeOnce(HealthCheck check, std::string address, uint16_t port) {
  if (check.port != 0) port = check.port;
  if (check.type == HealthCheck::Type::kTcp) co_return co_await ProbeTcp(check, address, port);
  co_return co_await ProbeHttp(check, address, port);
}

}  // namespace ringway::cp
