// Field names are those of Consul's agent API, in its CamelCase.
#include "sidecar/register/registration_body.h"

#include <algorithm>
#include <boost/json.hpp>

#include "sidecar/duration.h"

namespace ringway::sidecar {
namespace {

namespace json = boost::json;

json::object SidecarCheck(const ServiceDefinition& service, const std::string& service_id, const TtlCheck& ttl,
                          CheckStatus status) {
  std::chrono::milliseconds deregister_after = ttl.deregister_after;
  std::string notes = "Kept alive by ringway-sidecar: the worst of the definition's checks";
  for (const CheckDefinition& check : service.checks) {
    if (check.deregister_after) deregister_after = std::max(deregister_after, *check.deregister_after);
    if (!check.notes.empty()) notes += "; " + check.notes;
  }
  json::object own;
  own["CheckID"] = SidecarCheckId(service_id);
  own["Name"] = service.checks.size() == 1 && !service.checks[0].name.empty()
                            ? service.checks[0].name
                            : "Service '" + service.name + "' check";
  own["Notes"] = notes;
  own["TTL"] = FormatDuration(ttl.ttl);
  own["Status"] = std::string(StatusName(status));
  if (deregister_after.count() > 0) own["DeregisterCriticalServiceAfter"] = FormatDuration(deregister_after);
  return own;
}

json::object ApplicationCheck(const ServiceDefinition& service, const std::string& service_id, size_t index) {
  const CheckDefinition& check = service.checks[index];
  json::object own;
  const std::string number = service.checks.size() == 1 ? "" : ":" + std::to_string(index + 1);
  own["CheckID"] = check.id.empty() ? "service:" + service_id + number : check.id;
  own["Name"] = check.name.empty() ? "Service '" + service.name + "' check" : check.name;
  if (!check.notes.empty()) own["Notes"] = check.notes;
  own["TTL"] = FormatDuration(check.ttl);
  if (check.initial_status) own["Status"] = std::string(StatusName(*check.initial_status));
  if (check.deregister_after) own["DeregisterCriticalServiceAfter"] = FormatDuration(*check.deregister_after);
  if (check.success_before_passing > 0) own["SuccessBeforePassing"] = check.success_before_passing;
  if (check.failures_before_critical > 0) own["FailuresBeforeCritical"] = check.failures_before_critical;
  return own;
}

}  // namespace

std::string UniqueServiceId(const ServiceDefinition& service, const std::string& instance) {
  return (service.id.empty() ? service.name : service.id) + "-" + instance;
}

std::string SidecarCheckId(const std::string& service_id) { return "sidecar:" + service_id; }

std::string BuildRegistration(const ServiceDefinition& service, const std::string& service_id,
                              const std::string& address, const TtlCheck& check, CheckStatus status) {
  json::object body;
  body["ID"] = service_id;
  body["Name"] = service.name;
  body["Address"] = service.address.empty() ? address : service.address;
  body["Port"] = service.port;
  json::array& tags = body["Tags"].emplace_array();
  for (const std::string& tag : service.tags) tags.emplace_back(tag);
  json::object& meta = body["Meta"].emplace_object();
  for (const auto& [key, value] : service.meta) meta[key] = value;
  if (service.weights) {
    json::object& weights = body["Weights"].emplace_object();
    weights["Passing"] = service.weights->first;
    weights["Warning"] = service.weights->second;
  }
  if (!service.tagged_addresses_json.empty()) body["TaggedAddresses"] = json::parse(service.tagged_addresses_json);
  body["EnableTagOverride"] = service.enable_tag_override;
  json::array& checks = body["Checks"].emplace_array();
  checks.push_back(SidecarCheck(service, service_id, check, status));
  for (size_t i = 0; i < service.checks.size(); ++i) {
    if (service.checks[i].kind == CheckDefinition::Kind::kTtl) checks.push_back(ApplicationCheck(service, service_id, i));
  }
  return json::serialize(body);
}

}  // namespace ringway::sidecar
