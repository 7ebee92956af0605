// What Consul's agent refuses in a definition that could be read, in its words.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "controlplane/catalog/definitions.h"

namespace ringway::cp {

absl::Status ValidateService(const ServiceRecord& service);
absl::Status ValidateMeta(const std::map<std::string, std::string>& meta);
// `other_kind`: it names a script, gRPC or alias, which count as kinds of their own.
absl::Status ValidateCheck(const CheckDefinition& check, bool other_kind);
// Empty counts: not given.
bool IsStatusWord(std::string_view status);
// lan_ipv4 and wan_ipv4 (or _ipv6) appear by themselves when the address is a literal.
void AddLiteralTaggedAddresses(ServiceRecord& service);

}  // namespace ringway::cp
