// What packet delivery's maps should hold, and the writes that lead there from what they hold: in the order of bpf/lb_abi.h,
// touching what changed alone. Endpoints keep their slots by identity, from snapshot to snapshot and, through the pinned
// records, from process to process. Pure: reads nothing, writes nothing; packet_maps.h carries a plan out. Main thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "bpf/lb_abi.h"
#include "dataplane/core/ip_address.h"
#include "dataplane/feed/maglev.h"

namespace ringway::dp {

struct PacketEndpoint {
  uint64_t identity = 0;  // of the instance (IdentityHash of EndpointIdentity)
  IpAddress address;
  IpAddress source;  // ours towards it
  uint32_t weight = 1;
  l4_endpoint_state state = L4_READY;  // or L4_DRAINING, L4_DEAD
  uint32_t peer = 0;                   // the veth whose other end is the endpoint's own; 0: none
};

// What one table is for: the endpoints of one address family of a service, and the addresses that lead to them.
struct PacketService {
  std::string name;  // "SERVICE/4" or "SERVICE/6"
  std::vector<l4_vip_key> vips;
  l4_mode mode = L4_NAT;
  bool silent = false;
  std::vector<PacketEndpoint> endpoints;
};

static_assert(L4_ENDPOINTS_MAX <= 65536);  // a table's entry is 16 bits
struct SlotWrite {
  uint32_t slot = 0;
  l4_endpoint record{};
};
struct TableWrite {
  uint32_t service = 0;
  std::vector<uint16_t> slots;  // L4_TABLE_SIZE
};
struct VipWrite {
  l4_vip_key key{};
  l4_vip value{};
};

// Carried out from top to bottom.
struct PacketPlan {
  std::vector<SlotWrite> born;  // new owners: their counters begin at zero
  std::vector<uint32_t> services_born;  // likewise
  std::vector<TableWrite> tables;
  std::vector<VipWrite> vips;
  std::vector<l4_vip_key> vips_gone;
  std::vector<uint32_t> tables_gone;
  std::vector<SlotWrite> changed;  // state, source
  bool empty() const { return born.empty() && services_born.empty() && tables.empty() && vips.empty() && vips_gone.empty() && tables_gone.empty() && changed.empty(); }
};

class PacketPlanner {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using VipList = std::vector<std::pair<l4_vip_key, l4_vip>>;

  // What the maps hold now, `records` by slot, `tables` the indices that have one: at the start, and again after a write that
  // failed. Tables are then written anew.
  void Restore(const std::vector<l4_endpoint>& records, const VipList& vips, const std::vector<uint32_t>& tables, Time now);

  // ResourceExhausted, and nothing is changed, when there are more services, addresses or endpoints than the maps hold.
  absl::StatusOr<PacketPlan> Next(const std::vector<PacketService>& services, Time now);

  // Endpoints that have left and whose last flow has ended give their slots back. `counted` is when the count of flows began:
  // one that left later was not seen by it.
  PacketPlan Rest(const std::function<uint64_t(uint32_t slot)>& flows_open, Time counted, Time now);

  static constexpr uint32_t kNone = 0;  // no slot
  // Everything that holds a slot: by identity, those that left and have flows too.
  const absl::flat_hash_map<uint64_t, uint32_t>& slots() const { return by_identity_; }
  const l4_endpoint& RecordOf(uint32_t slot) const { return slots_[slot].record; }
  // Since when it is in its state.
  Time SinceOf(uint32_t slot) const { return slots_[slot].since; }
  // By name, "SERVICE/4": the index.
  const std::map<std::string, uint32_t>& services() const { return services_; }

 private:
  struct Slot {
    l4_endpoint record{};
    bool wanted = false;  // its endpoint is in the snapshot
    Time since{};         // when its state was written last
    Time free_from{};     // when ABSENT
  };
  struct VipLess {
    bool operator()(const l4_vip_key& a, const l4_vip_key& b) const;
  };
  using Vips = std::map<l4_vip_key, l4_vip, VipLess>;

  absl::Status CheckRoom(const std::vector<PacketService>& services, Time now) const;
  std::map<std::string, uint32_t> AssignServices(const std::vector<PacketService>& services) const;
  bool IsOfVips(const PacketService& service, uint32_t index) const;
  void PlanEndpoint(const PacketEndpoint& endpoint, uint32_t service, Time now, PacketPlan& plan);
  void PlanTable(const PacketService& service, uint32_t index, PacketPlan& plan);
  void PlanVips(const std::vector<PacketService>& services, PacketPlan& plan);
  void PlanLeft(Time now, PacketPlan& plan);
  uint32_t FreeSlot(Time now) const;

  std::vector<Slot> slots_ = std::vector<Slot>(L4_ENDPOINTS_MAX);
  absl::flat_hash_map<uint64_t, uint32_t> by_identity_;
  std::map<std::string, uint32_t> services_;  // by name: index
  std::map<uint32_t, std::vector<MaglevEndpoint>> tables_;  // by index: what its table was made of, where that is known
  std::set<uint32_t> tables_held_;                          // the indices that have one
  Vips vips_;
};

// IPv4 as ::ffff:a.b.c.d.
void ToAbi(const IpAddress& address, __u32 (&out)[4]);
IpAddress FromAbi(const __u32 (&ip)[4], __be16 port);
l4_vip_key VipKey(const IpAddress& address, bool udp);

}  // namespace ringway::dp
