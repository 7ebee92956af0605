// The agent's half of the catalog: services and checks that clients registered here, with the rules
// of Consul's agent (default ids, kept statuses, TTLs, thresholds, maintenance, reaping), and Ringway's leases. Pure: the
// clock is passed in. It writes to the catalog model; the model is its only store, so a restart
// finds everything again.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/catalog/catalog.h"
#include "controlplane/catalog/definitions.h"

namespace ringway::cp {

// A lease is the connection that a sidecar holds for its instance: a check "lease:<service id>" that passes for as long.
struct LeaseTimes {
  Nanoseconds timeout = std::chrono::seconds(3);            // without a heartbeat; also the grace after a start
  Nanoseconds deregister_after = std::chrono::seconds(10);  // critical by the lease this long: removed. Zero: never
};

class Agent {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  static constexpr std::chrono::seconds kIntervalMin{1};
  static constexpr std::chrono::seconds kDeregisterAfterMin{1};
  static constexpr std::chrono::minutes kOutputHeldMax{5};

  // `node` is registered in `catalog` already. TTL checks found there get a whole TTL from `now`
  // on: nobody could renew them while this process was away. Likewise a lease that was held stays good for its time-out.
  Agent(Catalog& catalog, std::string node, Time now, LeaseTimes lease = {});

  // The error is the text of the answer: InvalidArgument is 400, NotFound 404, everything else 500.
  absl::Status RegisterService(const ServiceDefinition& definition, bool replace_checks, Time now);
  void DeregisterService(const std::string& id);
  void Undrain(const std::string& service_id) { catalog_.SetDraining(node_, service_id, false); }
  absl::Status RegisterCheck(const CheckDefinition& definition, Time now);
  void DeregisterCheck(const std::string& id);
  absl::Status UpdateTtl(const std::string& check_id, const std::string& status,
                         const std::string& output, Time now);
  absl::Status SetServiceMaintenance(const std::string& service_id, bool enable,
                                     const std::string& reason);
  void SetNodeMaintenance(bool enable, const std::string& reason);

  // One result of an HTTP or TCP check: counted against its thresholds.
  void OnProbed(const std::string& check_id, const std::string& status, const std::string& output,
                Time now);

  // The newest connection for a service has its lease; the number names it. NotFound: no such service.
  absl::StatusOr<uint64_t> TakeLease(const std::string& service_id, const std::string& holder);
  bool LeaseHeld(const std::string& service_id) const;
  // False when a newer connection has it, or the service or the check is gone: then its end means nothing.
  bool HoldsLease(const std::string& service_id, uint64_t number) const;
  // Critical at once, with `why`. Whether it meant something.
  bool EndLease(const std::string& service_id, uint64_t number, const std::string& why, Time now);
  // Nobody holds it, and that may be our own fault: it stays as it is for its time-out.
  void AwaitLease(const std::string& service_id, uint64_t number, Time now);

  struct Removed {
    std::string service_id;
    std::string check_id;   // was critical for too long
    bool draining = false;  // it was to leave anyway
  };
  // Expires TTLs, hands held outputs to the catalog, removes services critical for too long.
  std::vector<Removed> Tick(Time now);
  // When Tick has something to do next; Time::max() for never.
  Time NextTick() const { return due_.empty() ? Time::max() : due_.begin()->first; }
  // This process stood still for `stopped`: what nobody could renew meanwhile gets its time again.
  void Forgive(Nanoseconds stopped, Time now);
  // After removals past the agent, through catalog/deregister.
  void ForgetMissingChecks();

  const Catalog::Node& node() const { return *self_; }
  const std::string& node_name() const { return node_; }
  const CheckRecord* FindCheck(const std::string& id) const;

 private:
  struct Runtime {
    Time due = Time::max();  // its place in due_
    Time ttl_deadline = Time::max();
    Time lease_deadline = Time::max();  // by when it must be held again, after a start
    uint64_t lease = 0;                 // number of the connection that holds it; zero: none
    Time output_due = Time::max();
    Time critical_since = Time::max();
    int64_t successes = 0;
    int64_t failures = 0;
  };
  // The record and the runtime for `definition`, keeping what is known of a check with that id.
  CheckRecord MakeCheck(const CheckDefinition& definition, const std::string& id, Time now);
  void StartCheck(const CheckRecord& check, Time now);
  void SetStatus(const std::string& check_id, const std::string& status, const std::string& output,
                 Time now);
  void Reschedule(const std::string& check_id);
  void Forget(const std::string& check_id);
  void ForgetChecksOf(const std::string& service_id);
  void ExpireTtl(const std::string& check_id, Time now);
  void AwaitLeaseAfterStart(const CheckRecord& check, Time now);
  void ExpireLease(const std::string& check_id, Time now);
  void PublishOutput(const std::string& check_id);
  Time ReapAt(const CheckRecord& check, const Runtime& runtime) const;

  Catalog& catalog_;
  const std::string node_;
  const LeaseTimes lease_;
  const Catalog::Node* self_;               // never leaves the catalog
  std::map<std::string, Runtime> runtime_;  // by check id
  std::set<std::pair<Time, std::string>> due_;
  uint64_t leases_taken_ = 0;
};

}  // namespace ringway::cp
