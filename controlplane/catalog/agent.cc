// Consul's agent rules over the catalog model; see agent.h.
#include "controlplane/catalog/agent.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ringway::cp {
namespace {

constexpr char kServiceMaintenance[] = "_service_maintenance:";
// The server's own, which no client may remove through the agent.
constexpr char kSerfHealth[] = "serfHealth";
constexpr char kConsul[] = "consul";
constexpr char kNodeMaintenance[] = "_node_maintenance";
constexpr char kMaintenance[] = "maintenance";  // a type of check

std::string TypeOf(const CheckSpec& spec) {
  if (!spec.http.empty()) return "http";
  return spec.tcp.empty() ? "ttl" : "tcp";
}

CheckRecord MaintenanceCheck(const std::string& id, const std::string& what,
                             const std::string& service_id, const std::string& reason) {
  CheckRecord check;
  check.id = id;
  check.name = absl::StrCat(what, " Maintenance Mode");
  check.status = kStatusCritical;
  check.notes = !reason.empty()      ? reason
                : service_id.empty() ? "Maintenance mode is enabled for this node, but no reason "
                                       "was provided. This is a default message."
                                     : "Maintenance mode is enabled for this service, but no "
                                       "reason was provided. This is a default message.";
  check.service_id = service_id;
  check.type = kMaintenance;
  return check;
}

}  // namespace

Agent::Agent(Catalog& catalog, std::string node, Time now, LeaseTimes lease)
    : catalog_(catalog), node_(std::move(node)), lease_(lease), self_(catalog.FindNode(node_)) {
  for (const auto& [id, check] : this->node().checks) {
    if (id == kSerfHealth) continue;
    if (check.type == kLeaseType) AwaitLeaseAfterStart(check, now);
    StartCheck(check, now);
  }
}

const CheckRecord* Agent::FindCheck(const std::string& id) const {
  const auto found = node().checks.find(id);
  return found == node().checks.end() ? nullptr : &found->second;
}

absl::Status Agent::RegisterService(const ServiceDefinition& definition, bool replace_checks,
                                    Time now) {
  const ServiceRecord& service = definition.service;
  Registration registration;
  registration.node.name = node_;
  registration.skip_node_update = true;
  registration.service = service;
  std::set<std::string> named;
  for (size_t i = 0; i < definition.checks.size(); ++i) {
    CheckDefinition check = definition.checks[i];
    check.service_id = service.id;
    if (check.name.empty()) check.name = absl::StrCat("Service '", service.name, "' check");
    std::string id = check.id;
    if (id.empty()) id = absl::StrCat("service:", service.id);
    if (check.id.empty() && definition.checks.size() > 1) absl::StrAppend(&id, ":", i + 1);
    registration.checks.push_back(MakeCheck(check, id, now));
    named.insert(id);
  }
  const std::vector<CheckRecord> checks = registration.checks;
  std::string error;
  catalog_.Register(std::move(registration), &error);
  if (!error.empty()) return absl::InternalError(error);
  for (const CheckRecord& check : checks) StartCheck(check, now);
  if (!replace_checks || !node().checks_of.contains(service.id)) return absl::OkStatus();
  std::vector<std::string> unnamed;
  for (const std::string& id : node().checks_of.at(service.id)) {
    const std::string& type = node().checks.at(id).type;
    if (type != kMaintenance && type != kLeaseType && !named.contains(id)) unnamed.push_back(id);
  }
  for (const std::string& id : unnamed) DeregisterCheck(id);
  return absl::OkStatus();
}

CheckRecord Agent::MakeCheck(const CheckDefinition& definition, const std::string& id, Time) {
  CheckRecord check;
  if (const CheckRecord* known = FindCheck(id)) {
    check = *known;  // its status and output stay, so that a re-registration does not flap
  } else {
    check.status = definition.status.empty() ? kStatusCritical : definition.status;
  }
  check.id = id;
  check.name = definition.name;
  check.notes = definition.notes;
  check.service_id = definition.service_id;
  check.service_name.clear();
  check.service_tags.clear();
  check.type = TypeOf(definition.spec);
  check.spec = definition.spec;
  CheckSpec& spec = check.spec;
  if (spec.IsProbe()) spec.interval = std::max<Nanoseconds>(spec.interval, kIntervalMin);
  if (spec.deregister_after.count() > 0) {
    spec.deregister_after = std::max<Nanoseconds>(spec.deregister_after, kDeregisterAfterMin);
  }
  return check;
}

// The runtime of a check that was registered, or read back from the store.
void Agent::StartCheck(const CheckRecord& check, Time now) {
  const auto [found, is_new] = runtime_.try_emplace(check.id);
  Runtime& runtime = found->second;
  // The counters start full, so that the first result ever takes effect at once.
  runtime.successes = check.spec.success_before_passing;
  runtime.failures = check.spec.failures_before_critical;
  runtime.ttl_deadline = check.type == "ttl" ? now + check.spec.ttl : Time::max();
  if (check.status != kStatusCritical) runtime.critical_since = Time::max();
  if (check.status == kStatusCritical && runtime.critical_since == Time::max())
    runtime.critical_since = now;
  Reschedule(check.id);
}

void Agent::DeregisterService(const std::string& id) {
  if (id == kConsul) return;
  const std::string copy = id;  // may live in the row that goes
  ForgetChecksOf(copy);
  catalog_.DeregisterService(node_, copy);
}

absl::Status Agent::RegisterCheck(const CheckDefinition& definition, Time now) {
  if (!definition.service_id.empty() && !node().services.contains(definition.service_id)) {
    return absl::InternalError(
        absl::StrCat("ServiceID \"", definition.service_id, "\" does not exist"));
  }
  const CheckRecord check = MakeCheck(definition, definition.id, now);
  catalog_.UpdateCheck(node_, check);
  StartCheck(check, now);
  return absl::OkStatus();
}

void Agent::DeregisterCheck(const std::string& id) {
  if (!runtime_.contains(id)) return;  // not this agent's to remove: serfHealth, or nothing
  catalog_.DeregisterCheck(node_, id);
  Forget(id);
}

absl::Status Agent::UpdateTtl(const std::string& check_id, const std::string& status,
                              const std::string& output, Time now) {
  const CheckRecord* check = FindCheck(check_id);
  if (check == nullptr || check->type != "ttl") {
    return absl::InternalError(
        absl::StrCat("CheckID \"", check_id, "\" does not have associated TTL"));
  }
  runtime_.at(check_id).ttl_deadline = now + check->spec.ttl;
  Reschedule(check_id);
  const auto limit = static_cast<size_t>(check->spec.output_bytes_max);
  if (output.size() > limit) {
    SetStatus(check_id, status,
              absl::StrCat(output.substr(0, limit), " ... (captured ", limit, " of ", output.size(),
                           " bytes)"),
              now);
  } else {
    SetStatus(check_id, status, output, now);
  }
  return absl::OkStatus();
}

absl::Status Agent::SetServiceMaintenance(const std::string& service_id, bool enable,
                                          const std::string& reason) {
  if (!node().services.contains(service_id)) {
    return absl::NotFoundError(absl::StrCat("No service registered with ID \"", service_id, "\""));
  }
  const std::string id = kServiceMaintenance + service_id;
  if (!enable) {
    DeregisterCheck(id);
  } else if (FindCheck(id) == nullptr) {
    catalog_.UpdateCheck(node_, MaintenanceCheck(id, "Service", service_id, reason));
    runtime_.try_emplace(id);
  }
  return absl::OkStatus();
}

void Agent::SetNodeMaintenance(bool enable, const std::string& reason) {
  if (!enable) {
    DeregisterCheck(kNodeMaintenance);
  } else if (FindCheck(kNodeMaintenance) == nullptr) {
    catalog_.UpdateCheck(node_, MaintenanceCheck(kNodeMaintenance, "Node", "", reason));
    runtime_.try_emplace(kNodeMaintenance);
  }
}

void Agent::OnProbed(const std::string& check_id, const std::string& status,
                     const std::string& output, Time now) {
  const CheckRecord* check = FindCheck(check_id);
  if (check == nullptr || !check->spec.IsProbe()) return;
  Runtime& runtime = runtime_.at(check_id);
  const bool good = status != kStatusCritical;
  (good ? runtime.successes : runtime.failures) += 1;
  (good ? runtime.failures : runtime.successes) = 0;
  const bool enough = good ? runtime.successes >= check->spec.success_before_passing
                           : runtime.failures >= check->spec.failures_before_critical;
  if (enough) SetStatus(check_id, status, output, now);
}

// A change of the output alone is held back from the catalog, so that chatty checks wake nobody.
void Agent::SetStatus(const std::string& check_id, const std::string& status,
                      const std::string& output, Time now) {
  const CheckRecord& known = *FindCheck(check_id);
  Runtime& runtime = runtime_.at(check_id);
  if (known.status == status) {
    catalog_.SetFreshOutput(node_, check_id, output);
    if (output == known.output) {
      runtime.output_due = Time::max();
    } else if (runtime.output_due == Time::max()) {
      runtime.output_due = now + kOutputHeldMax;
    }
    Reschedule(check_id);
    return;
  }
  CheckRecord check = known;
  check.status = status;
  check.output = check.fresh_output = output;
  runtime.output_due = Time::max();
  runtime.critical_since = status == kStatusCritical ? now : Time::max();
  catalog_.UpdateCheck(node_, std::move(check));
  Reschedule(check_id);
}

std::vector<Agent::Removed> Agent::Tick(Time now) {
  std::vector<Removed> removed;
  while (NextTick() <= now) {
    const std::string id = due_.begin()->second;
    const CheckRecord* check = FindCheck(id);
    if (check == nullptr) {  // removed through catalog/deregister
      Forget(id);
      continue;
    }
    const Runtime& runtime = runtime_.at(id);
    if (ReapAt(*check, runtime) <= now) {
      const std::string service = check->service_id;
      removed.push_back({service, id, node().services.at(service).draining});
      DeregisterService(service);
      continue;
    }
    if (runtime.ttl_deadline <= now) ExpireTtl(id, now);
    if (runtime.lease_deadline <= now) ExpireLease(id, now);
    if (runtime.output_due <= now) PublishOutput(id);
    Reschedule(id);
  }
  return removed;
}

void Agent::ExpireTtl(const std::string& check_id, Time now) {
  const std::string& last = FindCheck(check_id)->fresh_output;
  runtime_.at(check_id).ttl_deadline = Time::max();
  const std::string output = last.empty() ? "TTL expired"
                                          : absl::StrCat("TTL expired (last output before timeout follows): ", last);
  SetStatus(check_id, kStatusCritical, output, now);
}

void Agent::PublishOutput(const std::string& check_id) {
  CheckRecord check = *FindCheck(check_id);
  check.output = check.fresh_output;
  runtime_.at(check_id).output_due = Time::max();
  catalog_.UpdateCheck(node_, std::move(check));
}

// Never for a check of the node.
Agent::Time Agent::ReapAt(const CheckRecord& check, const Runtime& runtime) const {
  const Nanoseconds after = check.spec.deregister_after;
  const bool may = after.count() > 0 && !check.service_id.empty() && runtime.critical_since != Time::max();
  return may ? runtime.critical_since + after : Time::max();
}

// Moves the check to its place among what is due: the earliest of its times.
void Agent::Reschedule(const std::string& check_id) {
  Runtime& runtime = runtime_.at(check_id);
  const CheckRecord* check = FindCheck(check_id);
  const Time reap_at = check == nullptr ? Time::max() : ReapAt(*check, runtime);
  const Time next = std::min({runtime.ttl_deadline, runtime.lease_deadline, runtime.output_due, reap_at});
  if (next == runtime.due) return;
  due_.erase({runtime.due, check_id});
  runtime.due = next;
  if (next != Time::max()) due_.insert({next, check_id});
}

void Agent::Forgive(Nanoseconds stopped, Time now) {
  for (auto& [id, runtime] : runtime_) {
    const CheckRecord* check = FindCheck(id);
    if (check == nullptr) continue;
    if (runtime.ttl_deadline != Time::max())
      runtime.ttl_deadline = std::max(runtime.ttl_deadline, now + check->spec.ttl);
    if (runtime.lease_deadline != Time::max()) runtime.lease_deadline = now + lease_.timeout;
    if (runtime.critical_since != Time::max())
      runtime.critical_since = std::min(now, runtime.critical_since + stopped);
    Reschedule(id);
  }
}

void Agent::Forget(const std::string& check_id) {
  const auto found = runtime_.find(check_id);
  if (found == runtime_.end()) return;
  due_.erase({found->second.due, check_id});
  runtime_.erase(found);
}

void Agent::ForgetChecksOf(const std::string& service_id) {
  const auto group = node().checks_of.find(service_id);
  if (group == node().checks_of.end()) return;
  for (const std::string& id : group->second) Forget(id);
}

void Agent::ForgetMissingChecks() {
  std::vector<std::string> missing;
  for (const auto& [id, runtime] : runtime_) {
    if (FindCheck(id) == nullptr) missing.push_back(id);
  }
  for (const std::string& id : missing) Forget(id);
}

}  // namespace ringway::cp
