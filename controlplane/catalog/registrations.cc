// The bodies of catalog/register and catalog/deregister (Consul 1.8: structs.RegisterRequest,
// DeregisterRequest).
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "absl/strings/str_cat.h"
#include "controlplane/catalog/definitions.h"
#include "controlplane/catalog/go_decode.h"
#include "controlplane/catalog/validation.h"

namespace ringway::cp {
namespace {

namespace json = boost::json;

absl::Status Failed(const std::string& fault) {
  return absl::InvalidArgumentError("Request decode failed: " + fault);
}

std::string DecodeTagged(const json::value& value, std::map<std::string, TaggedAddress>& out) {
  if (!value.is_object()) return "json: cannot unmarshal TaggedAddresses";
  for (const auto& [key, item] : value.get_object()) {
    TaggedAddress& address = out[std::string(key.data(), key.size())];
    GoStruct one("ServiceAddress.Service.TaggedAddresses.");
    one.String("Address", address.address).Int("Port", address.port);
    if (std::string fault = one.Decode(item); !fault.empty()) return fault;
  }
  return {};
}

std::string DecodeNodeService(const json::value& document, ServiceRecord& service) {
  GoStruct go("NodeService.Service.");
  go.String("ID", service.id).String("Service", service.name).String("Kind", service.kind);
  go.Strings("Tags", service.tags).String("Address", service.address).Int("Port", service.port);
  go.StringMap("Meta", service.meta).Bool("EnableTagOverride", service.enable_tag_override);
  go.Any("TaggedAddresses",
         [&](const json::value& value) { return DecodeTagged(value, service.tagged_addresses); });
  go.Any("Weights", [&](const json::value& value) {
    service.weights = Weights{0, 0};
    GoStruct weights("Weights.Service.Weights.");
    weights.Int("Passing", service.weights.passing).Int("Warning", service.weights.warning);
    return weights.Decode(value);
  });
  go.Ignore("Proxy").Ignore("Connect").Ignore("CreateIndex").Ignore("ModifyIndex");
  return go.Decode(document);
}

std::string DecodeHealthCheck(const json::value& document, CheckRecord& check) {
  std::string node;
  GoStruct go("HealthCheck.Check.");
  go.String("Node", node)
      .String("CheckID", check.id)
      .String("Name", check.name)
      .String("Status", check.status);
  go.String("Notes", check.notes)
      .String("Output", check.output)
      .String("ServiceID", check.service_id);
  go.String("ServiceName", check.service_name)
      .Strings("ServiceTags", check.service_tags)
      .String("Type", check.type);
  go.Ignore("Definition").Ignore("CreateIndex").Ignore("ModifyIndex");
  return go.Decode(document);
}

absl::Status CheckDatacenter(const std::string& asked, std::string_view ours) {
  if (asked.empty() || asked == ours) return absl::OkStatus();
  return absl::InternalError("No path to datacenter");
}

absl::Status Complete(Registration& registration, bool has_address) {
  const NodeRecord& node = registration.node;
  if (node.name.empty()) return absl::InternalError("Must provide node");
  if (!has_address && !registration.skip_node_update) {
    return absl::InternalError("Must provide address if SkipNodeUpdate is not set");
  }
  if (registration.service) {
    ServiceRecord& service = *registration.service;
    if (service.id.empty()) service.id = service.name;
    if (service.name.empty() && !service.id.empty())
      return absl::InternalError("Must provide service name with ID");
    if (service.name.empty()) return absl::InternalError("Must provide service name");
    if (const absl::Status meta = ValidateMeta(service.meta); !meta.ok()) {
      return absl::InternalError(
          absl::StrCat("failed inserting service: Invalid Service Meta for node ", node.name,
                       " and serviceID ", service.id, ": ", std::string(meta.message())));
    }
    AddLiteralTaggedAddresses(service);
  }
  for (CheckRecord& check : registration.checks) {
    if (check.id.empty()) check.id = check.name;
    if (check.id.empty()) {
      return absl::InternalError(absl::StrCat(
          "failed inserting check: failed inserting check: object missing primary index on node \"",
          node.name, "\""));
    }
    if (check.status.empty()) check.status = kStatusCritical;
    check.fresh_output = check.output;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Registration> ParseRegistration(std::string_view body, std::string_view datacenter) {
  const auto document = ParseGoJson(body);
  if (!document.ok()) return document.status();
  Registration registration;
  NodeRecord& node = registration.node;
  std::string asked;
  GoStruct go("RegisterRequest.");
  go.String("Datacenter", asked)
      .String("ID", node.id)
      .String("Node", node.name)
      .String("Address", node.address);
  go.StringMap("TaggedAddresses", node.tagged_addresses).StringMap("NodeMeta", node.meta);
  go.Bool("SkipNodeUpdate", registration.skip_node_update).Ignore("WriteRequest").Ignore("Token");
  go.Any("Service", [&](const json::value& value) {
    return DecodeNodeService(value, registration.service.emplace());
  });
  go.Any("Check", [&](const json::value& value) {
    return DecodeHealthCheck(value, registration.checks.emplace_back());
  });
  go.Any("Checks", [&](const json::value& value) {
    if (!value.is_array()) return go.Mismatch(value, "Checks", "structs.HealthChecks");
    for (const json::value& item : value.get_array()) {
      if (std::string fault = DecodeHealthCheck(item, registration.checks.emplace_back());
          !fault.empty())
        return fault;
    }
    return std::string();
  });
  if (const std::string fault = go.Decode(*document); !fault.empty()) return Failed(fault);
  absl::Status status = CheckDatacenter(asked, datacenter);
  if (status.ok()) status = Complete(registration, !node.address.empty());
  if (!status.ok()) return status;
  return registration;
}

absl::StatusOr<CatalogDeregistration> ParseDeregistration(std::string_view body,
                                                          std::string_view datacenter) {
  const auto document = ParseGoJson(body);
  if (!document.ok()) return document.status();
  CatalogDeregistration what;
  std::string asked, address;
  GoStruct go("DeregisterRequest.");
  go.String("Datacenter", asked).String("Node", what.node).String("Address", address);
  go.String("ServiceID", what.service_id)
      .String("CheckID", what.check_id)
      .Ignore("WriteRequest")
      .Ignore("Token");
  if (const std::string fault = go.Decode(*document); !fault.empty()) return Failed(fault);
  if (const absl::Status status = CheckDatacenter(asked, datacenter); !status.ok()) return status;
  if (what.node.empty()) return absl::InternalError("Must provide node");
  return what;
}

}  // namespace ringway::cp
