// See packet_plan.h.
#include "dataplane/kernel/packet_plan.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "absl/strings/str_cat.h"

namespace ringway::dp {
namespace {

constexpr uint32_t kVipsMax = 4096;
// A second more than the programs ask for: they and we read different clocks.
constexpr std::chrono::seconds kRest{L4_SLOT_REST_SECONDS + 1};

bool Same(const l4_endpoint& a, const l4_endpoint& b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }
bool Same(const l4_vip& a, const l4_vip& b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

bool Same(const std::vector<MaglevEndpoint>& a, const std::vector<MaglevEndpoint>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const MaglevEndpoint& x, const MaglevEndpoint& y) {
    return x.identity == y.identity && x.weight == y.weight && x.value == y.value;
  });
}

l4_vip VipOf(const PacketService& service, uint32_t index) {
  l4_vip vip{};
  vip.service = index;
  vip.mode = static_cast<__u8>(service.mode);
  vip.flags = service.silent ? L4_VIP_SILENT : 0;
  return vip;
}

}  // namespace

void ToAbi(const IpAddress& address, __u32 (&out)[4]) {
  uint8_t bytes[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
  if (address.v6) std::memcpy(bytes, address.bytes.data(), 16);
  else std::memcpy(bytes + 12, address.bytes.data(), 4);
  std::memcpy(out, bytes, 16);
}

IpAddress FromAbi(const __u32 (&ip)[4], __be16 port) {
  constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  uint8_t bytes[16];
  std::memcpy(bytes, ip, 16);
  IpAddress address;
  address.v6 = std::memcmp(bytes, kMapped, sizeof(kMapped)) != 0;
  std::memcpy(address.bytes.data(), address.v6 ? bytes : bytes + 12, address.v6 ? 16 : 4);
  address.port = ntohs(port);
  return address;
}

l4_vip_key VipKey(const IpAddress& address, bool udp) {
  l4_vip_key key{};
  ToAbi(address, key.ip);
  key.port = htons(address.port);
  key.protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
  return key;
}

bool PacketPlanner::VipLess::operator()(const l4_vip_key& a, const l4_vip_key& b) const {
  return std::memcmp(&a, &b, sizeof(a)) < 0;
}

void PacketPlanner::Restore(const std::vector<l4_endpoint>& records, const VipList& vips, const std::vector<uint32_t>& tables, Time now) {
  by_identity_.clear();
  tables_.clear();
  tables_held_ = {tables.begin(), tables.end()};
  vips_.clear();
  for (uint32_t slot = 1; slot < slots_.size(); ++slot) {
    const l4_endpoint record = slot < records.size() ? records[slot] : l4_endpoint{};
    const bool used = record.state != L4_ABSENT;
    slots_[slot] = {record, false, now, record.generation == 0 ? Time{} : now + kRest};
    if (used) by_identity_[record.identity] = slot;
  }
  for (const auto& [key, vip] : vips) vips_[key] = vip;
}

absl::StatusOr<PacketPlan> PacketPlanner::Next(const std::vector<PacketService>& services, Time now) {
  if (absl::Status s = CheckRoom(services, now); !s.ok()) return s;
  PacketPlan plan;
  const std::map<std::string, uint32_t> before = std::exchange(services_, AssignServices(services));
  for (Slot& slot : slots_) slot.wanted = false;
  for (const PacketService& service : services) {
    const uint32_t index = services_.at(service.name);
    const auto had = before.find(service.name);
    const bool known = before.empty() ? IsOfVips(service, index) : had != before.end() && had->second == index;
    if (!known) plan.services_born.push_back(index);
    for (const PacketEndpoint& endpoint : service.endpoints) PlanEndpoint(endpoint, index, now, plan);
    PlanTable(service, index, plan);
  }
  PlanVips(services, plan);
  std::set<uint32_t> used;
  for (const auto& [name, index] : services_) used.insert(index);
  std::erase_if(tables_held_, [&](uint32_t index) {
    if (used.contains(index)) return false;
    plan.tables_gone.push_back(index);
    tables_.erase(index);
    return true;
  });
  PlanLeft(now, plan);
  return plan;
}

bool PacketPlanner::IsOfVips(const PacketService& service, uint32_t index) const {
  return std::any_of(service.vips.begin(), service.vips.end(), [&](const l4_vip_key& key) {
    const auto vip = vips_.find(key);
    return vip != vips_.end() && vip->second.service == index;
  });
}

absl::Status PacketPlanner::CheckRoom(const std::vector<PacketService>& services, Time now) const {
  size_t vips = 0, fresh = 0;
  for (const PacketService& service : services) {
    vips += service.vips.size();
    for (const PacketEndpoint& endpoint : service.endpoints) fresh += by_identity_.contains(endpoint.identity) ? 0 : 1;
  }
  if (services.size() > L4_SERVICES_MAX) {
    return absl::ResourceExhaustedError(absl::StrCat("wanted at most ", L4_SERVICES_MAX, " services with packet delivery (IPv4 and IPv6 count apart), got ", services.size()));
  }
  if (vips > kVipsMax) {
    return absl::ResourceExhaustedError(absl::StrCat("wanted at most ", kVipsMax, " addresses with packet delivery, got ", vips));
  }
  if (fresh == 0) return absl::OkStatus();
  const auto free = std::count_if(slots_.begin() + 1, slots_.end(),
                                  [&](const Slot& slot) { return slot.record.state == L4_ABSENT && slot.free_from <= now; });
  if (fresh <= static_cast<size_t>(free)) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("no room for ", fresh, " more endpoints with packet delivery: ", free, " of ", L4_ENDPOINTS_MAX - 1, " slots are free"));
}

// A service keeps its index; after a restart it is found by any of its addresses.
std::map<std::string, uint32_t> PacketPlanner::AssignServices(const std::vector<PacketService>& services) const {
  std::map<std::string, uint32_t> assigned;
  std::set<uint32_t> used;
  const auto take = [&](const PacketService& service, uint32_t index) {
    if (assigned.contains(service.name) || !used.insert(index).second) return;
    assigned[service.name] = index;
  };
  for (const PacketService& service : services) {
    if (const auto known = services_.find(service.name); known != services_.end()) take(service, known->second);
  }
  for (const PacketService& service : services) {
    for (const l4_vip_key& key : service.vips) {
      const auto vip = vips_.find(key);
      if (services_.empty() && vip != vips_.end() && vip->second.service < L4_SERVICES_MAX) take(service, vip->second.service);
    }
  }
  // Indices in use until this plan is carried out are not handed on in it.
  for (const auto& [name, index] : services_) used.insert(index);
  uint32_t next = 0;
  for (const PacketService& service : services) {
    for (uint32_t tried = 0; !assigned.contains(service.name) && tried < L4_SERVICES_MAX; ++tried) {
      take(service, next);
      next = (next + 1) % L4_SERVICES_MAX;
    }
    if (!assigned.contains(service.name)) {  // all in use: one that is leaving now
      std::set<uint32_t> kept;
      for (const auto& [name, index] : assigned) kept.insert(index);
      uint32_t index = 0;
      while (kept.contains(index)) ++index;
      assigned[service.name] = index;
    }
  }
  return assigned;
}

void PacketPlanner::PlanEndpoint(const PacketEndpoint& endpoint, uint32_t service, Time now, PacketPlan& plan) {
  const auto found = by_identity_.find(endpoint.identity);
  const bool fresh = found == by_identity_.end();
  const uint32_t slot = fresh ? FreeSlot(now) : found->second;
  l4_endpoint record = slots_[slot].record;
  if (fresh) {
    const uint32_t generation = record.generation + 1;
    record = {};
    record.generation = generation;
    record.identity = endpoint.identity;
  }
  ToAbi(endpoint.address, record.ip);
  ToAbi(endpoint.source, record.source);
  record.port = htons(endpoint.address.port);
  record.state = static_cast<__u8>(endpoint.state);
  record.service = service;
  record.ifindex = endpoint.peer;
  record.flags = endpoint.peer != 0 ? L4_ENDPOINT_PEER : 0;
  if (fresh) {
    plan.born.push_back({slot, record});
    by_identity_[endpoint.identity] = slot;
  } else if (!Same(record, slots_[slot].record)) {
    plan.changed.push_back({slot, record});
  }
  if (fresh || record.state != slots_[slot].record.state) slots_[slot].since = now;
  slots_[slot].record = record;
  slots_[slot].wanted = true;
}

uint32_t PacketPlanner::FreeSlot(Time now) const {
  for (uint32_t slot = 1; slot < slots_.size(); ++slot) {
    if (slots_[slot].record.state == L4_ABSENT && !slots_[slot].wanted && slots_[slot].free_from <= now) return slot;
  }
  return kNone;  // CheckRoom has counted them
}

void PacketPlanner::PlanTable(const PacketService& service, uint32_t index, PacketPlan& plan) {
  std::vector<MaglevEndpoint> members;
  for (const PacketEndpoint& endpoint : service.endpoints) {
    if (endpoint.state == L4_READY) members.push_back({endpoint.identity, endpoint.weight, static_cast<uint16_t>(by_identity_.at(endpoint.identity))});
  }
  const auto made = tables_.find(index);
  if (made != tables_.end() && Same(made->second, members)) return;
  plan.tables.push_back({index, MaglevTable(members, L4_TABLE_SIZE)});
  tables_[index] = std::move(members);
  tables_held_.insert(index);
}

void PacketPlanner::PlanVips(const std::vector<PacketService>& services, PacketPlan& plan) {
  Vips wanted;
  for (const PacketService& service : services) {
    for (const l4_vip_key& key : service.vips) wanted[key] = VipOf(service, services_.at(service.name));
  }
  for (const auto& [key, vip] : wanted) {
    const auto old = vips_.find(key);
    if (old == vips_.end() || !Same(old->second, vip)) plan.vips.push_back({key, vip});
  }
  for (const auto& [key, vip] : vips_) {
    if (!wanted.contains(key)) plan.vips_gone.push_back(key);
  }
  vips_ = std::move(wanted);
}

// What leaves ready or draining ends its flows in peace; what leaves dead has none to end.
void PacketPlanner::PlanLeft(Time now, PacketPlan& plan) {
  for (uint32_t slot = 1; slot < slots_.size(); ++slot) {
    Slot& left = slots_[slot];
    if (left.wanted || left.record.state == L4_ABSENT || left.record.state == L4_DRAINING) continue;
    if (left.record.state == L4_DEAD) {
      left.free_from = now + kRest;
      by_identity_.erase(left.record.identity);
    }
    left.record.state = left.record.state == L4_DEAD ? L4_ABSENT : L4_DRAINING;
    left.since = now;
    plan.changed.push_back({slot, left.record});
  }
}

PacketPlan PacketPlanner::Rest(const std::function<uint64_t(uint32_t slot)>& flows_open, Time counted, Time now) {
  PacketPlan plan;
  for (uint32_t slot = 1; slot < slots_.size(); ++slot) {
    Slot& left = slots_[slot];
    if (left.wanted || left.record.state != L4_DRAINING || left.since >= counted || flows_open(slot) != 0) continue;
    left.record.state = L4_ABSENT;
    left.free_from = now + kRest;
    by_identity_.erase(left.record.identity);
    plan.changed.push_back({slot, left.record});
  }
  return plan;
}

}  // namespace ringway::dp
