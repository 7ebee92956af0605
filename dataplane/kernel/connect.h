// The connect delivery (bpf/connect.bpf.c): loads the programs, attaches them to cgroups, and keeps the tables they choose by.
// Maps and links are pinned: when this process is gone, sockets go on getting endpoints from the tables as they were last; the
// next process takes maps and links over without a gap. Detach removes every trace.
// Main thread. Bounded by the maps: 1,024 services, 32,768 endpoints, 65,536 slots in two generations.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bpf/lb_abi.h"
#include "dataplane/core/ip_address.h"
#include "dataplane/kernel/pin_claim.h"
#include "dataplane/kernel/pin_directory.h"

namespace ringway::dp {

struct ConnectTarget {
  std::string identity;  // EndpointIdentity
  IpAddress address;
  uint32_t weight = 1;
  bool operator==(const ConnectTarget&) const = default;
};

struct ConnectService {
  std::string name;  // the listener's
  std::vector<IpAddress> addresses;  // of one family; several when it listens at all of this host's
  bool udp = false;
  bool refuse_empty = false;  // without an endpoint: ECONNREFUSED; else the connect goes to the address itself
  bool least_open = false;
  std::vector<ConnectTarget> ready;  // of the addresses' family
  std::vector<std::string> resting;  // identities of the others: they get nobody, and their counters stay
  bool operator==(const ConnectService&) const = default;
};

class ConnectDelivery {
 public:
  // Loads the programs, over the maps pinned in `pin_folder` if there are any. Attaches nothing. Never waits.
  // FailedPrecondition: another dataplane has the folder, or has left it attached in another network namespace: may be tried again.
  static absl::StatusOr<std::unique_ptr<ConnectDelivery>> Start(const std::string& pin_folder, const std::string& log_folder);
  ~ConnectDelivery();

  // From now on these services, in these cgroups (directories of a cgroup2 file system) and those below them. A cgroup that is
  // not there is tried again by Tick; status() names it.
  // A table that cannot be written leaves the one before in use, is named by status(), and is tried again by Tick.
  absl::Status Apply(std::vector<ConnectService> services, const std::vector<std::string>& cgroups);

  // Once a second: what an earlier table left, endpoints nobody uses any more, what could not be written (after 1, 2, 4 up to 32
  // seconds), cgroups that were not there.
  void Tick();

  // OK, or what is not as it should be, in words.
  const absl::Status& status() const { return tables_.ok() ? attached_ : tables_; }
  connect_counters OfEndpoint(const std::string& identity) const;
  connect_counters OfService(const std::string& name) const;

  // Unlinks programs and maps: nothing is left of the delivery. What is another dataplane's, as above, stays: it is none of ours.
  static absl::Status Detach(const std::string& pin_folder);

 private:
  struct Programs;
  ConnectDelivery(PinClaim claim, std::unique_ptr<Programs> programs, PinDirectory pins);

  absl::Status WriteTables();
  absl::Status Write(const ConnectService& service);
  absl::Status WriteEntry(const ConnectService& service, const IpAddress& address, uint64_t generation);
  bool WriteSlots(uint64_t id, uint64_t generation, const std::vector<connect_slot>& slots);
  absl::Status SlotsError(const ConnectService& service) const;
  absl::Status RemoveOthers();
  absl::Status AddReady();
  absl::Status AddReady(uint64_t endpoint);
  absl::Status AddCounters(uint64_t id);
  void DropUnready();
  absl::Status Attach();
  absl::Status AttachTo(const std::string& cgroup);
  bool Unwanted(const std::string& pin) const;
  void DropOldSlots();
  void DropOldCounters();
  connect_counters Counters(uint64_t id) const;
  bool AnyOpen() const;

  const PinClaim claim_;
  std::unique_ptr<Programs> programs_;
  PinDirectory pins_;
  uint64_t netns_ = 0;
  uint64_t generation_ = 0;
  bool slots_old_ = true;  // there may be slots that no service names
  std::vector<ConnectService> services_;  // what is wanted
  absl::flat_hash_map<std::string, ConnectService> known_;  // by listener: what its entries lead to
  absl::flat_hash_set<uint64_t> listed_;   // all endpoints of what is wanted
  absl::flat_hash_set<uint64_t> ready_;    // endpoints that a table names
  absl::flat_hash_set<uint64_t> leaving_;  // others that have counters
  std::vector<std::string> cgroups_;
  absl::flat_hash_set<uint64_t> cgroup_ids_;
  absl::flat_hash_set<std::string> links_;  // pins of links that run our programs
  absl::Status tables_;
  uint32_t retry_in_ = 1, retry_wait_ = 1;  // ticks
  absl::Status attached_;
};

}  // namespace ringway::dp
