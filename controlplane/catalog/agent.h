// The agent's half of the catalog: services and checks that clients registered here, with the rules
// of Consul's agent (default ids, kept statuses, TTLs, thresholds, maintenance, reaping). Pure: the
// clock is passed in. It writes to the catalog model; the model is its only store, so a restart
// finds everything again.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "controlplane/catalog/catalog.h"
#include "controlplane/catalog/definitions.h"

namespace ringway::cp {

class Agent {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  static constexpr std::chrono::seconds kIntervalMin{1};
  static constexpr std::chrono::seconds kDeregisterAfterMin{1};
  static constexpr std::chrono::minutes kOutputHeldMax{5};

  // `node` is registered in `catalog` already. TTL checks found there get a whole TTL from `now`
  // on: nobody could renew them while this process was away.
  Agent(Catalog& catalog, std::string node, Time now);

  // The error is the text of the answer: InvalidArgument is 400, NotFound 404, everything else 500.
  absl::Status RegisterService(const ServiceDefinition& definition, bool replace_checks, Time now);
  void DeregisterService(const std::string& id);
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

  // Expires TTLs, hands held outputs to the catalog, removes services critical for too long. Ids of
  // removed services.
  std::vector<std::string> Tick(Time now);
  // When Tick has something to do next; Time::max() for never.
  Time NextTick() const;

  const Catalog::Node& node() const;
  const std::string& node_name() const { return node_; }
  const CheckRecord* FindCheck(const std::string& id) const;

 private:
  struct Runtime {
    Time ttl_deadline = Time::max();
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
  void ForgetMissingChecks();

  Catalog& catalog_;
  const std::string node_;
  std::map<std::string, Runtime> runtime_;  // by check id
};

}  // namespace ringway::cp
