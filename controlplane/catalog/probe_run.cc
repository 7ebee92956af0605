// HTTP through common/http's client, TCP by a bare connect (Consul 1.8: agent/checks/check.go).
#include "controlplane/catalog/probe_run.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/http/client.h"

namespace ringway::cp {
namespace {

namespace asio = boost::asio;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kTimeoutDefault{10000};
constexpr int kRedirectsMax = 10;
constexpr size_t kBodyBytesMax = 16u << 20;  // beyond, the check is critical; 4 KiB of it are kept

std::chrono::milliseconds TimeoutOf(const CheckSpec& spec) {
  if (spec.timeout.count() <= 0) return kTimeoutDefault;
  return std::max(std::chrono::ceil<std::chrono::milliseconds>(spec.timeout),
                  std::chrono::milliseconds(1));
}

// "http://host:port/path?query" as what to connect to and what to ask for.
struct SplitUrl {
  std::string origin;
  std::string target;
};
SplitUrl Split(std::string_view url) {
  const size_t scheme = url.find("://");
  const size_t start = scheme == url.npos ? 0 : scheme + 3;
  const size_t path = url.find_first_of("/?#", start);
  SplitUrl split{std::string(url.substr(0, path)),
                 path == url.npos ? "/" : std::string(url.substr(path))};
  split.target = split.target.substr(0, split.target.find('#'));
  if (split.target.empty() || split.target[0] != '/') split.target.insert(0, "/");
  return split;
}

http::ClientRequest RequestFor(const CheckSpec& spec, const std::string& method,
                               const std::string& target) {
  http::ClientRequest request;
  request.method = method;
  request.target = target;
  request.body = spec.body;
  request.timeout = TimeoutOf(spec);
  request.body_bytes_max = kBodyBytesMax;
  bool agent = false, accept = false;
  for (const auto& [name, values] : spec.headers) {
    agent |= absl::AsciiStrToLower(name) == "user-agent";
    accept |= absl::AsciiStrToLower(name) == "accept";
    for (const std::string& value : values) request.headers.emplace_back(name, value);
  }
  if (!agent) request.headers.emplace_back("User-Agent", "Consul Health Check");
  if (!accept) request.headers.emplace_back("Accept", "text/plain, text/*, */*");
  return request;
}

// What Go would have said of the failure.
std::string GoNetError(const absl::Status& status, const http::Url& url) {
  const std::string message(status.message());
  const std::string host =
      url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
  if (absl::IsDeadlineExceeded(status)) {
    return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
  }
  if (message.find("cannot resolve ") != std::string::npos)
    return "dial tcp: lookup " + url.host + ": no such host";
  const size_t connect = message.find("cannot connect: ");
  if (connect == std::string::npos) return message;
  return absl::StrCat("dial tcp ", host, ":", url.port,
                      ": connect: ", absl::AsciiStrToLower(message.substr(connect + 16)));
}

std::string FailureText(const std::string& method, const std::string& url, const std::string& why) {
  std::string verb = absl::AsciiStrToLower(method);
  if (!verb.empty()) verb[0] = absl::ascii_toupper(static_cast<unsigned char>(verb[0]));
  return absl::StrCat(verb, " \"", url, "\": ", why);
}

ProbeVerdict Judge(const CheckSpec& spec, const std::string& method,
                   const http::ClientResponse& response) {
  const size_t limit = static_cast<size_t>(spec.output_bytes_max);
  const std::string& body = response.body;  // the end of a long one is kept
  const std::string shown = body.size() > limit ? body.substr(body.size() - limit) : body;
  ProbeVerdict verdict;
  verdict.status = response.status >= 200 && response.status <= 299 ? kStatusPassing
                   : response.status == 429                         ? kStatusWarning
                                                                    : kStatusCritical;
  verdict.output = absl::StrCat("HTTP ", method, " ", spec.http, ": ", response.status, " ",
                                response.reason, " Output: ", shown);
  return verdict;
}

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

asio::awaitable<ProbeVerdict> RunHttp(CheckSpec spec) {
  std::string method = spec.method.empty() ? "GET" : spec.method;
  const std::string asked = method;
  std::string at = spec.http;
  for (int redirects = 0;; ++redirects) {
    const SplitUrl split = Split(at);
    const auto url = http::ParseUrl(split.origin);
    if (!url.ok()) {
      const std::string scheme = at.substr(0, at.find("://"));
      const std::string why = at.find("://") != std::string::npos && scheme != "http"
                                  ? absl::StrCat("unsupported protocol scheme \"", scheme, "\"")
                                  : std::string(url.status().message());
      co_return ProbeVerdict{kStatusCritical, FailureText(asked, at, why)};
    }
    http::Url target = *url;
    http::ClientRequest request = RequestFor(spec, method, split.target);
    const absl::StatusOr<http::ClientResponse> response =
        co_await http::Fetch(std::move(target), std::move(request));
    if (!response.ok())
      co_return ProbeVerdict{kStatusCritical,
                             FailureText(asked, at, GoNetError(response.status(), *url))};
    const std::string* location = response->Header("Location");
    if (!IsRedirect(response->status) || location == nullptr)
      co_return Judge(spec, asked, *response);
    if (redirects == kRedirectsMax)
      co_return ProbeVerdict{kStatusCritical, FailureText(asked, at, "stopped after 10 redirects")};
    at = ResolveLocation(at, *location);
    if (response->status <= 303 && method != "HEAD") {
      method = "GET";
      spec.body.clear();
    }
  }
}

asio::awaitable<ProbeVerdict> RunTcp(CheckSpec spec) {
  const size_t colon = spec.tcp.rfind(':');
  if (colon == std::string::npos) {
    co_return ProbeVerdict{
        kStatusCritical, absl::StrCat("dial tcp: address ", spec.tcp, ": missing port in address")};
  }
  std::string host = spec.tcp.substr(0, colon);
  const std::string port = spec.tcp.substr(colon + 1);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  asio::ip::tcp::resolver resolver(executor);
  auto [resolve_error, endpoints] = co_await resolver.async_resolve(host, port, kNoThrow);
  if (resolve_error)
    co_return ProbeVerdict{kStatusCritical,
                           absl::StrCat("dial tcp: lookup ", host, ": no such host")};
  boost::beast::tcp_stream stream(executor);
  stream.expires_after(TimeoutOf(spec));
  auto [error, endpoint] = co_await stream.async_connect(endpoints, kNoThrow);
  if (!error)
    co_return ProbeVerdict{kStatusPassing, absl::StrCat("TCP connect ", spec.tcp, ": Success")};
  if (error == boost::beast::error::timeout) {
    co_return ProbeVerdict{kStatusCritical, absl::StrCat("dial tcp ", spec.tcp, ": i/o timeout")};
  }
  co_return ProbeVerdict{
      kStatusCritical,
      absl::StrCat("dial tcp ", spec.tcp, ": connect: ", absl::AsciiStrToLower(error.message()))};
}

}  // namespace

std::string ResolveLocation(std::string_view url, std::string_view location) {
  if (location.find("://") != location.npos) return std::string(location);
  const SplitUrl split = Split(url);
  if (location.substr(0, 2) == "//") return absl::StrCat("http:", std::string(location));
  if (!location.empty() && location[0] == '/')
    return absl::StrCat(split.origin, std::string(location));
  const std::string path = split.target.substr(0, split.target.find('?'));
  return absl::StrCat(split.origin, path.substr(0, path.rfind('/') + 1), std::string(location));
}

asio::awaitable<ProbeVerdict> RunProbe(CheckSpec spec) {
  if (!spec.http.empty()) return RunHttp(std::move(spec));
  return RunTcp(std::move(spec));
}

}  // namespace ringway::cp
