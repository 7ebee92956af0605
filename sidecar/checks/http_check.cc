// HTTP checks by the shared client, with the headers Consul's agent sends.
#include <strings.h>

#include "common/http/client.h"
#include "sidecar/checks/run_check.h"

namespace ringway::sidecar {
namespace {

constexpr int kRedirectsMax = 10;

struct Location {
  http::Url url;
  std::string target;
};

absl::StatusOr<Location> Split(const std::string& text) {
  const size_t authority = text.find("://");
  const size_t path = text.find_first_of("/?#", authority == std::string::npos ? 0 : authority + 3);
  absl::StatusOr<http::Url> url = http::ParseUrl(text.substr(0, path));
  if (!url.ok()) return url.status();
  std::string target = path == std::string::npos ? "/" : text.substr(path, text.find('#') - path);
  if (target.empty() || target.front() != '/') target.insert(0, "/");
  return Location{*url, target};
}

// Where a redirect leads, absolute or relative to `from`.
std::string Follow(const std::string& from, const std::string& location) {
  if (location.find("://") != std::string::npos) return location;
  if (location.rfind("//", 0) == 0) return "http:" + location;
  const size_t authority_end = from.find_first_of("/?#", from.find("://") + 3);
  const std::string origin = from.substr(0, authority_end);
  if (!location.empty() && location.front() == '/') return origin + location;
  const std::string path = authority_end == std::string::npos ? "/" : from.substr(authority_end, from.find('?') - authority_end);
  return origin + path.substr(0, path.find_last_of('/') + 1) + location;
}

http::ClientRequest BuildRequest(const CheckDefinition& check, const std::string& target) {
  http::ClientRequest request;
  request.method = check.method;
  request.target = target;
  request.headers = check.headers;
  request.body = check.body;
  request.timeout = check.timeout;
  const auto add = [&](const char* name, const char* value) {
    for (const auto& [present, ignored] : check.headers) {
      if (strcasecmp(present.c_str(), name) == 0) return;
    }
    request.headers.emplace_back(name, value);
  };
  add("User-Agent", "Consul Health Check");
  add("Accept", "text/plain, text/*, */*");
  return request;
}

CheckResult Judge(const CheckDefinition& check, const std::string& url, const http::ClientResponse& response) {
  CheckResult result;
  if (response.status >= 200 && response.status < 300) result.status = CheckStatus::kPassing;
  if (response.status == 429) result.status = CheckStatus::kWarning;
  result.output = "HTTP " + check.method + " " + url + ": " + std::to_string(response.status) + " Output: " +
                  response.body.substr(0, kCheckOutputMax);
  result.output.resize(std::min(result.output.size(), kCheckOutputMax));
  return result;
}

}  // namespace

boost::asio::awaitable<CheckResult> RunHttpCheck(const CheckDefinition& check) {
  std::string url = check.target;
  for (int hop = 0; hop <= kRedirectsMax; ++hop) {
    const absl::StatusOr<Location> location = Split(url);
    if (!location.ok()) co_return CheckResult{CheckStatus::kCritical, std::string(location.status().message())};
    http::Url where = location->url;
    http::ClientRequest request = BuildRequest(check, location->target);
    const absl::StatusOr<http::ClientResponse> response = co_await http::Fetch(std::move(where), std::move(request));
    if (!response.ok()) co_return CheckResult{CheckStatus::kCritical, std::string(response.status().message())};
    const std::string* next = response->Header("Location");
    const bool redirected = response->status >= 300 && response->status < 400 && next != nullptr;
    if (!redirected) co_return Judge(check, url, *response);
    url = Follow(url, *next);
  }
  co_return CheckResult{CheckStatus::kCritical, "HTTP " + check.method + " " + check.target + ": too many redirects"};
}

}  // namespace ringway::sidecar
