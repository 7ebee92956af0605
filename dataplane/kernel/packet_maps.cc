// See packet_maps.h.
#include "dataplane/kernel/packet_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <string>

#include "dataplane/feed/listener_sockets.h"
#include "dataplane/kernel/bpf_error.h"

namespace ringway::dp {
namespace {

struct ReasonName {
  const char* name;
  const char* text;
};
#define RINGWAY_REASON(name, text) ReasonName{#name, text},
constexpr ReasonName kReasons[] = {L4_REASONS_LIST(RINGWAY_REASON)};
#undef RINGWAY_REASON

std::string LowerCase(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

// "EVENT_TABLE_FULL" is said to be an event by where it stands.
std::string ReasonLabel(size_t reason) {
  const std::string name = LowerCase(kReasons[reason].name);
  return name.starts_with("event_") ? name.substr(6) : name;
}

void Add(l4_count& sum, const l4_count& count) {
  sum.packets += count.packets;
  sum.bytes += count.bytes;
}

void Add(PacketRoundTrip& sum, const l4_round_trip& one) {
  sum.samples += one.samples;
  sum.us_sum += (one.sum << L4_MOMENT_SHIFT) / 1000;
}

}  // namespace

PacketMaps::PacketMaps(const PacketMapFds& fds) : fds_(fds), cpus_(std::max(libbpf_num_possible_cpus(), 1)) {}

absl::StatusOr<std::vector<l4_endpoint>> PacketMaps::ReadEndpoints() const {
  std::vector<l4_endpoint> records(L4_ENDPOINTS_MAX);
  for (uint32_t slot = 1; slot < records.size(); ++slot) {
    if (bpf_map_lookup_elem(fds_.endpoints, &slot, &records[slot]) != 0) return BpfError(errno, "l4_endpoints: cannot be read");
  }
  return records;
}

absl::StatusOr<PacketPlanner::VipList> PacketMaps::ReadVips() const {
  PacketPlanner::VipList vips;
  l4_vip_key key{};
  l4_vip_key next{};
  for (const l4_vip_key* at = nullptr; bpf_map_get_next_key(fds_.vips, at, &next) == 0; at = &key) {
    key = next;
    l4_vip vip{};
    if (bpf_map_lookup_elem(fds_.vips, &key, &vip) == 0) vips.emplace_back(key, vip);
  }
  if (errno != ENOENT) return BpfError(errno, "l4_vips: cannot be read");
  return vips;
}

absl::StatusOr<std::vector<uint32_t>> PacketMaps::ReadTables() const {
  std::vector<uint32_t> services;
  for (uint32_t service = 0; service < L4_SERVICES_MAX; ++service) {  // an array: its keys are all there
    uint32_t table = 0;
    if (bpf_map_lookup_elem(fds_.tables, &service, &table) == 0) services.push_back(service);
    else if (errno != ENOENT) return BpfError(errno, "l4_tables: cannot be read");
  }
  return services;
}

absl::Status PacketMaps::Write(const PacketPlan& plan) const {
  const std::vector<char> zeroes(sizeof(l4_traffic) * static_cast<size_t>(cpus_));
  for (const SlotWrite& write : plan.born) {
    if (bpf_map_update_elem(fds_.endpoint_traffic, &write.slot, zeroes.data(), BPF_ANY) != 0) return BpfError(errno, "l4_endpoint_traffic: cannot be written");
    if (absl::Status s = WriteSlot(write); !s.ok()) return s;
  }
  for (const uint32_t index : plan.services_born) {
    if (bpf_map_update_elem(fds_.service_traffic, &index, zeroes.data(), BPF_ANY) != 0) return BpfError(errno, "l4_service_traffic: cannot be written");
  }
  for (const TableWrite& write : plan.tables) {
    if (absl::Status s = WriteTable(write); !s.ok()) return s;
  }
  for (const VipWrite& write : plan.vips) {
    if (bpf_map_update_elem(fds_.vips, &write.key, &write.value, BPF_ANY) != 0) return BpfError(errno, "l4_vips: cannot be written");
  }
  for (const l4_vip_key& key : plan.vips_gone) {
    if (bpf_map_delete_elem(fds_.vips, &key) != 0 && errno != ENOENT) return BpfError(errno, "l4_vips: cannot be deleted from");
  }
  for (const uint32_t service : plan.tables_gone) {
    if (bpf_map_delete_elem(fds_.tables, &service) != 0 && errno != ENOENT) return BpfError(errno, "l4_tables: cannot be deleted from");
  }
  for (const SlotWrite& write : plan.changed) {
    if (absl::Status s = WriteSlot(write); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status PacketMaps::WriteSlot(const SlotWrite& write) const {
  if (bpf_map_update_elem(fds_.endpoints, &write.slot, &write.record, BPF_ANY) != 0) return BpfError(errno, "l4_endpoints: cannot be written");
  return absl::OkStatus();
}

// The update of the outer map returns when no program runs with the table that was there before.
absl::Status PacketMaps::WriteTable(const TableWrite& write) const {
  static_assert(sizeof(l4_table) == L4_TABLE_SIZE * sizeof(uint16_t));
  const UniqueFd table(bpf_map_create(BPF_MAP_TYPE_ARRAY, "l4_table", sizeof(uint32_t), sizeof(l4_table), 1, nullptr));
  if (table.get() < 0) return BpfError(errno, "a table for l4_tables cannot be made");
  const uint32_t zero = 0;
  const int fd = table.get();
  if (bpf_map_update_elem(fd, &zero, write.slots.data(), BPF_ANY) != 0) return BpfError(errno, "a table for l4_tables cannot be filled");
  if (bpf_map_update_elem(fds_.tables, &write.service, &fd, BPF_ANY) != 0) return BpfError(errno, "l4_tables: cannot be written");
  return absl::OkStatus();
}

PacketTraffic PacketMaps::Traffic(int map, uint32_t key) const {
  std::vector<l4_traffic> per_cpu(static_cast<size_t>(cpus_));
  PacketTraffic traffic;
  if (bpf_map_lookup_elem(map, &key, per_cpu.data()) != 0) return traffic;
  for (const l4_traffic& one : per_cpu) {
    traffic.packets_to_endpoint += one.to_endpoint.packets;
    traffic.bytes_to_endpoint += one.to_endpoint.bytes;
    traffic.packets_to_client += one.to_client.packets;
    traffic.bytes_to_client += one.to_client.bytes;
    traffic.flows_opened += one.flows_opened;
    traffic.flows_reset += one.flows_reset;
    traffic.flows_dropped += one.flows_dropped;
    traffic.refused += one.refused;
    traffic.syn_repeated += one.syn_repeated;
    Add(traffic.endpoint_rtt, one.endpoint_rtt);
    Add(traffic.client_rtt, one.client_rtt);
  }
  return traffic;
}

std::vector<PacketReason> PacketMaps::Reasons() const {
  std::vector<PacketReason> reasons;
  std::vector<l4_count> per_cpu(static_cast<size_t>(cpus_));
  for (uint32_t reason = 0; reason < L4_REASONS; ++reason) {
    l4_count sum{};
    if (bpf_map_lookup_elem(fds_.reasons, &reason, per_cpu.data()) == 0) {
      for (const l4_count& one : per_cpu) Add(sum, one);
    }
    reasons.push_back({ReasonLabel(reason), kReasons[reason].text, reason >= L4_VERDICTS, sum.packets, sum.bytes});
  }
  return reasons;
}

}  // namespace ringway::dp
