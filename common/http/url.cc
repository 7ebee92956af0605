// Where a client connects; see client.h.
#include <cctype>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/http/client.h"

namespace ringway::http {
namespace {

constexpr uint16_t kPort = 80;
constexpr uint16_t kTlsPort = 443;

absl::Status Wanted(std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("wanted http://HOST[:PORT][/base] or unix:/path, got \"", std::string(text), "\""));
}

}  // namespace

std::string Url::HostHeader() const {
  if (!unix_path.empty()) return "localhost";
  const std::string name = host.find(':') == host.npos ? host : "[" + host + "]";
  return port == (tls ? kTlsPort : kPort) ? name : absl::StrCat(name, ":", port);
}

absl::StatusOr<Url> ParseUrl(std::string_view text) {
  Url url;
  if (text.starts_with("unix:")) {
    std::string_view path = text.substr(5);
    if (path.starts_with("//")) path.remove_prefix(2);
    if (path.empty() || path[0] != '/') return Wanted(text);
    url.unix_path = path;
    return url;
  }
  if (!text.starts_with("http://")) return Wanted(text);
  std::string_view rest = text.substr(7);
  const size_t slash = rest.find('/');
  if (slash != rest.npos) {
    url.base = rest.substr(slash);
    while (!url.base.empty() && url.base.back() == '/') url.base.pop_back();
    rest = rest.substr(0, slash);
  }
  std::string_view port;
  if (rest.starts_with('[')) {
    const size_t end = rest.find(']');
    if (end == rest.npos) return Wanted(text);
    url.host = rest.substr(1, end - 1);
    port = rest.substr(end + 1);
  } else {
    const size_t colon = rest.find(':');
    url.host = rest.substr(0, colon);
    port = colon == rest.npos ? std::string_view() : rest.substr(colon);
  }
  for (const char c : url.host) {
    if (std::isspace(static_cast<unsigned char>(c)) != 0 || c == '@') return Wanted(text);
  }
  if (url.host.empty()) return Wanted(text);
  if (port.empty()) return url;
  int number = 0;
  if (port[0] != ':' || !absl::SimpleAtoi(std::string(port.substr(1)), &number) || number < 1 ||
      number > 65535) {
    return Wanted(text);
  }
  url.port = static_cast<uint16_t>(number);
  return url;
}

absl::StatusOr<Url> ParseUrlOrTls(std::string_view text) {
  constexpr std::string_view kTls = "https://";
  if (!text.starts_with(kTls)) return ParseUrl(text);
  const std::string rest(text.substr(kTls.size()));
  absl::StatusOr<Url> url = ParseUrl("http://" + rest);
  if (!url.ok()) return absl::InvalidArgumentError(absl::StrCat("wanted https://HOST[:PORT][/base], got \"", std::string(text), "\""));
  url->tls = true;
  const std::string authority = rest.substr(0, rest.find('/'));
  if (url->port == kPort && !authority.ends_with(":80")) url->port = kTlsPort;
  return url;
}

}  // namespace ringway::http
