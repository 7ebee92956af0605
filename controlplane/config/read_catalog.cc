// "catalog": the embedded one with its leases, or a real Consul, which is reached by URL. A key of the one is an error in the other.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/http/client.h"
#include "controlplane/config/object_reader.h"
#include "controlplane/config/sections.h"

namespace ringway::cp {
namespace {

constexpr uint32_t kSecondMs = 1000;
constexpr uint32_t kMinuteMs = 60 * kSecondMs;
constexpr uint32_t kDayMs = 24 * 60 * kMinuteMs;
constexpr std::string_view kWantedUrl = "wanted a URL like \"http://consul:8500\" or \"https://consul:8501\"";

bool IsHttps(std::string_view url) { return url.starts_with("https://"); }

bool IsConsulUrl(const std::string& text) {
  if (IsHttps(text)) return http::ParseUrl("http://" + text.substr(8)).ok();
  return text.starts_with("http://") && http::ParseUrl(text).ok();
}

void AbsolutePath(ObjectReader& reader, std::string_view key, std::string& out) {
  if (!reader.String(key, out) || out.starts_with('/')) return;
  reader.diagnostics().Error(reader.PathOf(key), "wanted an absolute path, got \"" + out + "\"");
}

void AddAddress(const std::string& text, const std::string& path, Diagnostics& diagnostics, ConsulConfig& out) {
  if (!IsConsulUrl(text)) return diagnostics.Error(path, std::string(kWantedUrl) + ", got \"" + text + "\"");
  if (std::find(out.addresses.begin(), out.addresses.end(), text) != out.addresses.end()) {
    return diagnostics.Error(path, "wanted each address once, \"" + text + "\" is given twice");
  }
  out.addresses.push_back(text);
}

// A URL or an array of them.
void ReadAddresses(ObjectReader& reader, ConsulConfig& out) {
  const auto* value = reader.Find("address");
  const std::string path = reader.PathOf("address");
  Diagnostics& diagnostics = reader.diagnostics();
  if (value == nullptr) return diagnostics.Error(reader.path(), "wanted the \"address\" of a Consul, like \"http://consul:8500\"");
  if (value->is_string()) return AddAddress(std::string(value->get_string()), path, diagnostics, out);
  if (!value->is_array()) return diagnostics.Error(path, std::string(kWantedUrl) + " or an array of them, got " + Describe(*value));
  if (value->get_array().empty()) diagnostics.Error(path, "wanted at least one address");
  reader.Array("address", [&](const boost::json::value& element, const std::string& element_path) {
    if (!element.is_string()) return diagnostics.Error(element_path, std::string(kWantedUrl) + ", got " + Describe(element));
    AddAddress(std::string(element.get_string()), element_path, diagnostics, out);
  });
}

void ReadTls(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, ConsulConfig& out) {
  ObjectReader reader(value, path, diagnostics);
  AbsolutePath(reader, "ca_file", out.tls_ca_file);
  AbsolutePath(reader, "cert_file", out.tls_cert_file);
  AbsolutePath(reader, "key_file", out.tls_key_file);
  reader.String("server_name", out.tls_server_name);
  reader.Boolean("verify", out.tls_verify);
  if (out.tls_cert_file.empty() != out.tls_key_file.empty()) {
    diagnostics.Error(path, "a client certificate has two files; wanted both \"cert_file\" and \"key_file\", or neither");
  }
  for (const std::string& address : out.addresses) {
    if (!IsHttps(address)) diagnostics.ErrorAtKey(path, "\"" + address + "\" does not use TLS; wanted \"https://\" addresses, or no \"tls\"");
  }
}

void ReadConsul(ObjectReader& reader, ConsulConfig& out) {
  Diagnostics& diagnostics = reader.diagnostics();
  ReadAddresses(reader, out);
  const bool has_token = reader.String("token", out.token);
  AbsolutePath(reader, "token_file", out.token_file);
  if (has_token && !out.token_file.empty()) {
    diagnostics.ErrorAtKey(reader.PathOf("token_file"), "wanted either \"token\" or \"token_file\", got both");
  }
  if (std::any_of(out.token.begin(), out.token.end(), [](unsigned char c) { return c <= ' ' || c >= 0x7f; })) {
    diagnostics.Error(reader.PathOf("token"), "wanted an ACL token without blanks and line ends");
  }
  reader.String("datacenter", out.datacenter);
  reader.Boolean("stale", out.stale);
  reader.Duration("wait", kSecondMs, 10 * kMinuteMs, out.wait_ms);
  reader.Duration("resync", kSecondMs, kDayMs, out.resync_ms);
  if (const auto* tls = reader.Find("tls")) ReadTls(*tls, reader.PathOf("tls"), diagnostics, out);
  if (reader.Find("namespace") != nullptr) {
    diagnostics.ErrorAtKey(reader.PathOf("namespace"), "namespaces are a feature of Consul Enterprise and not supported; wanted this key gone");
  }
}

void ReadLease(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, LeaseConfig& out) {
  ObjectReader reader(value, path, diagnostics);
  reader.Duration("timeout", 300, 10 * kMinuteMs, out.timeout_ms);
  reader.Duration("deregister_after", kSecondMs, 7 * kDayMs, out.deregister_after_ms);
}

void Refuse(ObjectReader& reader, std::initializer_list<std::string_view> keys, std::string_view why) {
  for (const std::string_view key : keys) {
    if (reader.Find(key) != nullptr) reader.diagnostics().ErrorAtKey(reader.PathOf(key), why);
  }
}

}  // namespace

std::string CatalogName(const CatalogConfig& config) {
  if (config.type == CatalogConfig::Type::kEmbedded) return "embedded on " + config.listen;
  return "consul " + absl::StrJoin(config.consul.addresses, ", ");
}

void ReadCatalog(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, CatalogConfig& out) {
  using Type = CatalogConfig::Type;
  ObjectReader reader(value, path, diagnostics);
  reader.Choice<Type>("type", {{"embedded", Type::kEmbedded}, {"consul", Type::kConsul}}, out.type);
  AbsolutePath(reader, "data_dir", out.data_dir);
  if (out.type == Type::kConsul) {
    ReadConsul(reader, out.consul);
    Refuse(reader, {"listen", "lease"}, "only the embedded catalog has this; wanted \"type\": \"embedded\" or this key gone");
    return;
  }
  reader.Bind("listen", out.listen);
  if (const auto* lease = reader.Find("lease")) ReadLease(*lease, reader.PathOf("lease"), diagnostics, out.lease);
  Refuse(reader, {"address", "token", "token_file", "datacenter", "stale", "wait", "resync", "tls", "namespace"},
         "only a Consul has this; wanted \"type\": \"consul\" or this key gone");
}

void ReadCatalogVariable(const std::string& text, Diagnostics& diagnostics, CatalogConfig& out) {
  if (text.empty() || text == "embedded") return;
  out.type = CatalogConfig::Type::kConsul;
  for (const auto piece : absl::StrSplit(text, ',')) {
    const std::string address(piece);
    if (!IsConsulUrl(address)) {
      diagnostics.ErrorAt({}, "RINGWAY_CATALOG", "wanted \"embedded\", or a URL like \"http://consul:8500\" (several with commas between), got \"" + text + "\"");
      return;
    }
    out.consul.addresses.push_back(address);
  }
}

}  // namespace ringway::cp
