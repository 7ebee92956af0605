// The agent's validations (Consul 1.8: structs.NodeService.Validate, CheckType.Validate,
// ValidateServiceMetadata).
#include "controlplane/catalog/validation.h"

#include <arpa/inet.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace ringway::cp {
namespace {

constexpr size_t kMetaPairsMax = 64;
constexpr size_t kMetaKeyBytesMax = 128;
constexpr size_t kMetaValueBytesMax = 512;

std::string MetaFault(const std::string& key, const std::string& value) {
  if (key.empty()) return "Key cannot be blank";
  for (const char c : key) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_')
      return "Key contains invalid characters";
  }
  if (key.size() > kMetaKeyBytesMax) return "Key is too long (limit: 128 characters)";
  if (absl::StartsWith(key, "consul-")) return "Key prefix 'consul-' is reserved for internal use";
  if (value.size() > kMetaValueBytesMax) return "Value is too long (limit: 512 characters)";
  return {};
}

absl::Status ValidateWeights(const Weights& weights) {
  if (weights.passing < 1)
    return absl::InvalidArgumentError("Invalid Weights: Passing must be greater than 0");
  if (weights.warning < 0)
    return absl::InvalidArgumentError("Invalid Weights: Warning must be greater or equal than 0");
  if (weights.passing > 65535 || weights.warning > 65535) {
    return absl::InvalidArgumentError("Invalid Weights: DNS Weight must be between 0 and 65535");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateMeta(const std::map<std::string, std::string>& meta) {
  if (meta.size() > kMetaPairsMax) {
    return absl::InvalidArgumentError("Node metadata cannot contain more than 64 key/value pairs");
  }
  for (const auto& [key, value] : meta) {
    if (const std::string fault = MetaFault(key, value); !fault.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("Couldn't load metadata pair ('", key, "', '", value, "'): ", fault));
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateService(const ServiceRecord& service) {
  if (service.address == "0.0.0.0" || service.address == "::") {
    return absl::InvalidArgumentError("Invalid service address");
  }
  const absl::Status meta = ValidateMeta(service.meta);
  if (!meta.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("Invalid Service Meta: ", std::string(meta.message())));
  }
  for (const char* kind :
       {"connect-proxy", "mesh-gateway", "terminating-gateway", "ingress-gateway"}) {
    if (service.kind == kind)
      return absl::InvalidArgumentError(
          absl::StrCat("Kind ", kind, " is not supported by Ringway"));
  }
  return ValidateWeights(service.weights);
}

absl::Status ValidateCheck(const CheckDefinition& check, bool other_kind) {
  const CheckSpec& spec = check.spec;
  const bool interval_kind = spec.IsProbe() || other_kind;
  if (spec.interval.count() > 0 && spec.ttl.count() > 0) {
    return absl::InvalidArgumentError("Invalid check: Interval and TTL cannot both be specified");
  }
  if (interval_kind && spec.interval.count() <= 0 && !(other_kind && !spec.IsProbe())) {
    return absl::InvalidArgumentError(
        "Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks");
  }
  if (!interval_kind && spec.ttl.count() <= 0) {
    return absl::InvalidArgumentError("Invalid check: TTL must be > 0 for TTL checks");
  }
  if (spec.output_bytes_max < 0)
    return absl::InvalidArgumentError("Invalid check: MaxOutputMaxSize must be positive");
  if (absl::StartsWithIgnoreCase(spec.http, "https:")) {
    return absl::InvalidArgumentError("Invalid check: https checks are not supported by Ringway");
  }
  return absl::OkStatus();
}

bool IsStatusWord(std::string_view status) {
  return status.empty() || status == kStatusPassing || status == kStatusWarning ||
         status == kStatusCritical;
}

void AddLiteralTaggedAddresses(ServiceRecord& service) {
  unsigned char bytes[16];
  const char* family = inet_pton(AF_INET, service.address.c_str(), bytes) == 1    ? "ipv4"
                       : inet_pton(AF_INET6, service.address.c_str(), bytes) == 1 ? "ipv6"
                                                                                  : nullptr;
  if (family == nullptr) return;
  for (const char* side : {"lan_", "wan_"}) {
    service.tagged_addresses.try_emplace(absl::StrCat(side, family),
                                         TaggedAddress{service.address, service.port});
  }
}

}  // namespace ringway::cp
