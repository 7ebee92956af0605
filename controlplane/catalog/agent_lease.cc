// Leases: the part of agent.h about connections that sidecars hold.
#include "absl/strings/str_cat.h"
#include "controlplane/catalog/agent.h"

namespace ringway::cp {
namespace {

std::string LeaseId(const std::string& service_id) { return absl::StrCat("lease:", service_id); }

CheckRecord LeaseCheck(const std::string& service_id, const std::string& holder) {
  CheckRecord check;
  check.id = LeaseId(service_id);
  check.name = "Sidecar's lease";
  check.notes = "Passes while the sidecar holds its connection to the catalog";
  check.service_id = service_id;
  check.type = kLeaseType;
  check.status = kStatusPassing;
  check.output = check.fresh_output = absl::StrCat("held by ", holder);
  return check;
}

}  // namespace

absl::StatusOr<uint64_t> Agent::TakeLease(const std::string& service_id, const std::string& holder) {
  if (!node().services.contains(service_id)) return absl::NotFoundError(absl::StrCat("unknown service ID: ", service_id));
  CheckRecord check = LeaseCheck(service_id, holder);
  check.spec.deregister_after = lease_.deregister_after;
  const std::string id = check.id;
  Forget(id);
  runtime_[id].lease = ++leases_taken_;
  catalog_.UpdateCheck(node_, std::move(check));
  return leases_taken_;
}

bool Agent::LeaseHeld(const std::string& service_id) const {
  const auto runtime = runtime_.find(LeaseId(service_id));
  return runtime != runtime_.end() && runtime->second.lease != 0;
}

bool Agent::HoldsLease(const std::string& service_id, uint64_t number) const {
  const std::string id = LeaseId(service_id);
  const auto runtime = runtime_.find(id);
  return runtime != runtime_.end() && runtime->second.lease == number && FindCheck(id) != nullptr;
}

bool Agent::EndLease(const std::string& service_id, uint64_t number, const std::string& why, Time now) {
  if (!HoldsLease(service_id, number)) return false;
  const std::string id = LeaseId(service_id);
  runtime_.at(id).lease = 0;
  SetStatus(id, kStatusCritical, why, now);
  return true;
}

void Agent::AwaitLease(const std::string& service_id, uint64_t number, Time now) {
  if (!HoldsLease(service_id, number)) return;
  const std::string id = LeaseId(service_id);
  runtime_.at(id).lease = 0;
  runtime_.at(id).lease_deadline = now + lease_.timeout;
  Reschedule(id);
}

// A lease found at a start: its sidecar lost the connection when this process went, and comes back at once if it lives.
void Agent::AwaitLeaseAfterStart(const CheckRecord& check, Time now) {
  CheckSpec spec = check.spec;
  spec.deregister_after = lease_.deregister_after;
  catalog_.SetSpec(node_, check.id, spec);
  if (check.status != kStatusCritical) runtime_[check.id].lease_deadline = now + lease_.timeout;
}

void Agent::ExpireLease(const std::string& check_id, Time now) {
  runtime_.at(check_id).lease_deadline = Time::max();
  SetStatus(check_id, kStatusCritical, "lease ended: the sidecar has not come back since the control plane was away",
            now);
}

}  // namespace ringway::cp
