// Consul's documents, field by field (api.AgentServiceRegistration, structs.CheckType,
// structs.RegisterRequest of 1.8).
#include "controlplane/catalog/definitions.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controlplane/catalog/go_decode.h"
#include "controlplane/catalog/validation.h"

namespace ringway::cp {
namespace {

namespace json = boost::json;

absl::Status Failed(const std::string& fault) {
  return absl::InvalidArgumentError("Request decode failed: " + fault);
}

// Kinds of checks that the embedded catalog knows and does not run.
struct Refused {
  std::vector<std::string> args;
  std::string docker, shell, grpc, alias_node, alias_service;
  bool grpc_tls = false, tls_skip_verify = false;
  std::string ignored;
};

void CheckFields(GoStruct& go, CheckDefinition& check, Refused& refused) {
  CheckSpec& spec = check.spec;
  go.String("Name", check.name).String("Notes", check.notes).String("Status", check.status);
  go.String("HTTP", spec.http)
      .HeaderMap("Header", spec.headers)
      .String("Method", spec.method)
      .String("Body", spec.body);
  go.String("TCP", spec.tcp).Duration("Interval", spec.interval).Duration("Timeout", spec.timeout);
  go.Duration("TTL", spec.ttl).Int("SuccessBeforePassing", spec.success_before_passing);
  go.Int("FailuresBeforeCritical", spec.failures_before_critical)
      .Int("OutputMaxSize", spec.output_bytes_max);
  go.Duration("DeregisterCriticalServiceAfter", spec.deregister_after);
  go.Duration("deregister_critical_service_after", spec.deregister_after);
  go.Strings("ScriptArgs", refused.args)
      .Strings("Args", refused.args)
      .Strings("script_args", refused.args);
  go.String("DockerContainerID", refused.docker).String("docker_container_id", refused.docker);
  go.String("Shell", refused.shell)
      .String("GRPC", refused.grpc)
      .Bool("GRPCUseTLS", refused.grpc_tls);
  go.String("AliasNode", refused.alias_node).String("AliasService", refused.alias_service);
  go.Bool("TLSSkipVerify", refused.tls_skip_verify)
      .Bool("tls_skip_verify", refused.tls_skip_verify);
  go.String("ProxyHTTP", refused.ignored).String("ProxyGRPC", refused.ignored);
}

absl::Status RefuseUnsupported(const Refused& refused) {
  if (!refused.args.empty()) {
    return absl::InternalError(
        "Scripts are disabled on this agent from remote calls; to enable, configure "
        "'enable_script_checks' to true");
  }
  if (!refused.grpc.empty())
    return absl::InvalidArgumentError("Invalid check: GRPC checks are not supported by Ringway");
  if (!refused.alias_node.empty() || !refused.alias_service.empty()) {
    return absl::InvalidArgumentError("Invalid check: alias checks are not supported by Ringway");
  }
  return absl::OkStatus();
}

// A check inside a service. `refused` is judged after the whole document has been read, as Consul
// does.
std::string DecodeServiceCheck(const json::value& document, CheckDefinition& check,
                               Refused& refused) {
  GoStruct go;
  CheckFields(go, check, refused);
  std::string ignored;
  go.String("CheckID", check.id).String("ServiceID", ignored).String("service_id", ignored);
  return go.Decode(document, "structs.CheckType");
}

std::string DecodeWeights(const json::value& document, Weights& weights) {
  weights = Weights{0, 0};
  return GoStruct("Weights.Weights.")
      .Int("Passing", weights.passing)
      .Int("Warning", weights.warning)
      .Decode(document);
}

GoStruct::Setter TaggedAddressesSetter(const GoStruct& go,
                                       std::map<std::string, TaggedAddress>& out) {
  return [&go, &out](const json::value& value) {
    if (!value.is_object())
      return go.Mismatch(value, "TaggedAddresses", "map[string]structs.ServiceAddress");
    for (const auto& [key, item] : value.get_object()) {
      if (!item.is_object() && !item.is_null())
        return go.Mismatch(item, "TaggedAddresses", "structs.ServiceAddress");
      TaggedAddress& address = out[std::string(key.data(), key.size())];
      GoStruct one("ServiceAddress.TaggedAddresses.");
      one.String("Address", address.address).Int("Port", address.port);
      if (std::string fault = one.Decode(item); !fault.empty()) return fault;
    }
    return std::string();
  };
}

// Connect is no part of the embedded catalog: empty objects pass, anything in them is refused by
// name.
GoStruct::Setter EmptyObjectSetter(std::string field, std::string& refused) {
  return [field = std::move(field), &refused](const json::value& value) {
    if (value.is_object() && value.get_object().empty()) return std::string();
    refused = field + " is not supported by Ringway";
    return std::string();
  };
}

struct ServiceDocument {
  ServiceRecord service;
  std::vector<CheckDefinition> checks;
  std::vector<Refused> refused;
  std::string unsupported;
};

std::string DecodeCheckList(const json::value& value, const GoStruct& go, ServiceDocument& out) {
  if (!value.is_array()) return go.Mismatch(value, "Checks", "structs.CheckTypes");
  for (const json::value& item : value.get_array()) {
    out.checks.emplace_back();
    out.refused.emplace_back();
    if (std::string fault = DecodeServiceCheck(item, out.checks.back(), out.refused.back());
        !fault.empty())
      return fault;
  }
  return {};
}

std::string DecodeService(const json::value& document, ServiceDocument& out) {
  ServiceRecord& service = out.service;
  std::string token;
  bool has_check = false;
  CheckDefinition check;
  Refused check_refused;
  GoStruct go;
  go.String("ID", service.id).String("Name", service.name).String("Kind", service.kind);
  go.Strings("Tags", service.tags).String("Address", service.address).Int("Port", service.port);
  go.StringMap("Meta", service.meta).String("Token", token);
  go.Bool("EnableTagOverride", service.enable_tag_override)
      .Bool("enable_tag_override", service.enable_tag_override);
  go.Any("TaggedAddresses", TaggedAddressesSetter(go, service.tagged_addresses));
  go.Any("tagged_addresses", TaggedAddressesSetter(go, service.tagged_addresses));
  go.Any("Weights",
         [&](const json::value& value) { return DecodeWeights(value, service.weights); });
  go.Any("Proxy", EmptyObjectSetter("Proxy", out.unsupported))
      .Any("Connect", EmptyObjectSetter("Connect", out.unsupported));
  go.Any("Check", [&](const json::value& value) {
    has_check = value.is_object() && !value.get_object().empty();
    return DecodeServiceCheck(value, check, check_refused);
  });
  go.Any("Checks", [&](const json::value& value) { return DecodeCheckList(value, go, out); });
  std::string fault = go.Decode(document);
  if (has_check) {  // Check counts as the first of Checks when both are there
    out.checks.insert(out.checks.begin(), check);
    out.refused.insert(out.refused.begin(), check_refused);
  }
  return fault;
}

}  // namespace

absl::StatusOr<ServiceDefinition> ParseServiceDefinition(std::string_view body) {
  const auto document = ParseGoJson(body);
  if (!document.ok()) return document.status();
  ServiceDocument read;
  if (const std::string fault = DecodeService(*document, read); !fault.empty())
    return Failed(fault);
  if (read.service.name.empty()) return absl::InvalidArgumentError("Missing service name");
  if (read.service.id.empty()) read.service.id = read.service.name;
  if (!read.unsupported.empty()) return absl::InvalidArgumentError(read.unsupported);
  absl::Status status = ValidateService(read.service);
  if (!status.ok()) return status;
  for (size_t i = 0; i < read.checks.size(); ++i) {
    status = ValidateCheck(read.checks[i], !read.refused[i].args.empty() ||
                                               !read.refused[i].grpc.empty() ||
                                               !read.refused[i].alias_node.empty() ||
                                               !read.refused[i].alias_service.empty());
    if (!status.ok()) return status;
    if (!IsStatusWord(read.checks[i].status)) {
      return absl::InvalidArgumentError("Status for checks must 'passing', 'warning', 'critical'");
    }
  }
  for (const Refused& refused : read.refused) {
    status = RefuseUnsupported(refused);
    if (!status.ok()) return status;
  }
  AddLiteralTaggedAddresses(read.service);
  return ServiceDefinition{std::move(read.service), std::move(read.checks)};
}

absl::StatusOr<CheckDefinition> ParseCheckDefinition(std::string_view body) {
  const auto document = ParseGoJson(body);
  if (!document.ok()) return document.status();
  CheckDefinition check;
  Refused refused;
  std::string token;
  GoStruct go;
  CheckFields(go, check, refused);
  go.String("ID", check.id)
      .String("ServiceID", check.service_id)
      .String("service_id", check.service_id);
  go.String("Token", token);
  if (const std::string fault = go.Decode(*document); !fault.empty()) return Failed(fault);
  if (check.name.empty()) return absl::InvalidArgumentError("Missing check name");
  if (!IsStatusWord(check.status)) return absl::InvalidArgumentError("Bad check status");
  const bool other_kind = !refused.args.empty() || !refused.grpc.empty() ||
                          !refused.alias_node.empty() || !refused.alias_service.empty();
  absl::Status status = ValidateCheck(check, other_kind);
  if (!status.ok()) return status;
  status = RefuseUnsupported(refused);
  if (!status.ok()) return status;
  if (check.id.empty()) check.id = check.name;
  return check;
}

absl::StatusOr<CheckUpdate> ParseCheckUpdate(std::string_view body) {
  const auto document = ParseGoJson(body);
  if (!document.ok()) return document.status();
  CheckUpdate update;
  GoStruct go("checkUpdate.");
  go.String("Status", update.status).String("Output", update.output);
  if (const std::string fault = go.Decode(*document); !fault.empty()) return Failed(fault);
  if (update.status.empty() || !IsStatusWord(update.status)) {
    return absl::InvalidArgumentError("Invalid check status: '" + update.status + "'");
  }
  return update;
}

}  // namespace ringway::cp
