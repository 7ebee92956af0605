// "services": how requests are spread over a service's endpoints, how long each wait may be, and how they are checked.
#include <boost/json/value.hpp>
#include <charconv>

#include "absl/strings/str_split.h"
#include "controlplane/config/net_names.h"
#include "controlplane/config/object_reader.h"
#include "controlplane/config/sections.h"

namespace ringway::cp {
namespace {

constexpr uint32_t kDayMs = 24 * 3600 * 1000;

// "200", "2xx", "200-299".
bool ParseStatusRange(std::string_view text, StatusRange& range) {
  const auto number = [](std::string_view digits, int& out) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return digits.size() == 3 && error == std::errc() && end == digits.data() + 3 && out >= 100 && out <= 599;
  };
  if (text.size() == 3 && text.substr(1) == "xx" && text[0] >= '1' && text[0] <= '5') {
    range.first = (text[0] - '0') * 100;
    range.last = range.first + 99;
    return true;
  }
  if (text.size() == 7 && text[3] == '-') {
    return number(text.substr(0, 3), range.first) && number(text.substr(4), range.last) && range.first <= range.last;
  }
  const bool single = number(text, range.first);
  range.last = range.first;
  return single;
}

void ReadExpectStatus(ObjectReader& reader, HealthCheck& check) {
  std::string text;
  if (!reader.String("expect_status", text)) return;
  std::vector<StatusRange> ranges;
  for (const auto piece : absl::StrSplit(text, ',')) {
    const size_t from = piece.find_first_not_of(' ');
    const size_t to = piece.find_last_not_of(' ');
    StatusRange range;
    if (from == piece.npos || !ParseStatusRange({piece.data() + from, to - from + 1}, range)) {
      return reader.diagnostics().Error(reader.PathOf("expect_status"), "wanted statuses like \"2xx,3xx\", \"200\" or \"200-204\", got \"" + text + "\"");
    }
    ranges.push_back(range);
  }
  check.expect_status = std::move(ranges);
}

void WantToken(ObjectReader& reader, std::string_view key, const std::string& text, bool ok, std::string_view wanted) {
  if (!ok) reader.diagnostics().Error(reader.PathOf(key), "wanted " + std::string(wanted) + ", got \"" + text + "\"");
}

bool HasControlOrBlank(const std::string& text) {
  for (const unsigned char c : text) {
    if (c <= ' ' || c == 0x7f) return true;
  }
  return false;
}

HealthCheck ReadHealthCheck(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics) {
  HealthCheck check;
  ObjectReader reader(value, path, diagnostics);
  reader.Choice<HealthCheck::Type>("type", {{"http", HealthCheck::Type::kHttp}, {"tcp", HealthCheck::Type::kTcp}}, check.type);
  if (check.type == HealthCheck::Type::kHttp) {
    if (reader.String("method", check.method)) {
      const bool ok = !check.method.empty() && check.method.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string::npos;
      WantToken(reader, "method", check.method, ok, "an HTTP method in capitals, like \"HEAD\" or \"GET\"");
    }
    if (reader.String("path", check.path)) {
      WantToken(reader, "path", check.path, !check.path.empty() && check.path[0] == '/' && !HasControlOrBlank(check.path), "a path like \"/health\"");
    }
    if (reader.String("host", check.host)) {
      WantToken(reader, "host", check.host, !check.host.empty() && !HasControlOrBlank(check.host), "a value for the Host header");
    }
    ReadExpectStatus(reader, check);
  } else {
    for (const char* key : {"method", "path", "host", "expect_status"}) {
      if (reader.Find(key) != nullptr) diagnostics.ErrorAtKey(reader.PathOf(key), "only an http check has this; wanted \"type\": \"http\" or this key gone");
    }
  }
  reader.Port("port", check.port);
  reader.Duration("interval", 100, kDayMs, check.interval_ms);
  check.timeout_ms = check.interval_ms;
  if (reader.Duration("timeout", 10, kDayMs, check.timeout_ms) && check.timeout_ms > check.interval_ms) {
    diagnostics.Error(reader.PathOf("timeout"), "wanted no more than the interval, else checks of one endpoint overlap");
  }
  reader.Integer("rise", 1, 100, check.rise);
  reader.Integer("fall", 1, 100, check.fall);
  return check;
}

StaticEndpoint ReadEndpoint(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics) {
  StaticEndpoint endpoint;
  std::string text;
  if (value.is_string()) {
    text = std::string(value.get_string());
  } else {
    ObjectReader reader(value, path, diagnostics);
    reader.Integer("weight", 1, 256, endpoint.weight);
    if (!reader.String("address", text)) {
      if (value.is_object() && reader.Find("address") == nullptr) diagnostics.Error(path, "wanted an \"address\" like \"10.0.0.5:80\"");
      return endpoint;
    }
  }
  if (const auto socket = ParseHostPort(text)) {
    endpoint.address = socket->address;
    endpoint.port = socket->port;
  } else {
    diagnostics.Error(path, "wanted \"ADDRESS:PORT\" with an IP address, got \"" + text + "\"");
  }
  return endpoint;
}

void ReadTimeouts(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, api::Timeouts& out) {
  ObjectReader reader(value, path, diagnostics);
  reader.Duration("connect", 10, kDayMs, out.connect_ms);
  reader.Duration("response", 10, kDayMs, out.response_ms);
  reader.Duration("idle", 100, kDayMs, out.idle_ms);
  reader.Duration("tunnel", 100, 7 * kDayMs, out.tunnel_ms);
  reader.Duration("upstream_idle", 10, kDayMs, out.upstream_idle_ms);
}

}  // namespace

ServiceConfig ReadService(std::string_view name, const boost::json::value& value, const std::string& path, Diagnostics& diagnostics) {
  ServiceConfig service;
  service.settings.name = std::string(name);
  ObjectReader reader(value, path, diagnostics);
  reader.Choice("balance", service.settings.balance);
  if (const auto* timeouts = reader.Find("timeouts")) ReadTimeouts(*timeouts, reader.PathOf("timeouts"), diagnostics, service.settings.timeouts);
  reader.Integer("retries_max", 0, 16, service.settings.retries_max);
  reader.Integer("upstreams_idle_max", 0, 65536, service.settings.upstreams_idle_max);
  uint32_t retry_after_ms = service.settings.retry_after_s * 1000;
  if (reader.Duration("retry_after", 1000, 3600000, retry_after_ms)) service.settings.retry_after_s = (retry_after_ms + 999) / 1000;
  ReadResilience(reader, service);
  const auto* check = reader.Find("health_check");
  if (check != nullptr && check->is_bool() && !check->get_bool()) {
    service.health_check.reset();
  } else if (check != nullptr) {
    service.health_check = ReadHealthCheck(*check, reader.PathOf("health_check"), diagnostics);
  }
  reader.Array("endpoints", [&](const boost::json::value& element, const std::string& element_path) {
    const StaticEndpoint endpoint = ReadEndpoint(element, element_path, diagnostics);
    for (const StaticEndpoint& other : service.endpoints) {
      if (endpoint.port != 0 && other.address == endpoint.address && other.port == endpoint.port) {
        diagnostics.Error(element_path, "wanted each endpoint once, this one is given twice");
      }
    }
    service.endpoints.push_back(endpoint);
  });
  return service;
}

}  // namespace ringway::cp
