// The maps of packet delivery by their descriptors: plans are carried out, counters and records read. Whatever bpf(2) answers
// becomes a Status here. One thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bpf/lb_abi.h"
#include "dataplane/kernel/packet_plan.h"
#include "dataplane/kernel/packet_stats.h"

namespace ringway::dp {

// Owned by the loaded object (packet_programs.h).
struct PacketMapFds {
  int vips = -1;
  int tables = -1;
  int endpoints = -1;
  int flows = -1;
  int half_open = -1;
  int reasons = -1;
  int service_traffic = -1;
  int endpoint_traffic = -1;
  uint32_t flows_max = 0;  // entries
  uint32_t half_open_max = 0;
};

class PacketMaps {
 public:
  explicit PacketMaps(const PacketMapFds& fds);

  absl::StatusOr<std::vector<l4_endpoint>> ReadEndpoints() const;
  absl::StatusOr<PacketPlanner::VipList> ReadVips() const;
  // The services that have one.
  absl::StatusOr<std::vector<uint32_t>> ReadTables() const;
  // Stops at the first write that fails: what was written before it stays, and does no harm.
  absl::Status Write(const PacketPlan& plan) const;

  PacketTraffic ServiceTraffic(uint32_t service) const { return Traffic(fds_.service_traffic, service); }
  PacketTraffic EndpointTraffic(uint32_t slot) const { return Traffic(fds_.endpoint_traffic, slot); }
  std::vector<PacketReason> Reasons() const;
  const PacketMapFds& fds() const { return fds_; }

 private:
  absl::Status WriteTable(const TableWrite& write) const;
  absl::Status WriteSlot(const SlotWrite& write) const;
  PacketTraffic Traffic(int map, uint32_t key) const;

  const PacketMapFds fds_;
  const int cpus_;
};

}  // namespace ringway::dp
