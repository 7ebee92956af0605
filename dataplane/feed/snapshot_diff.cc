// What lies between two snapshots; see snapshot_diff.h.
#include "dataplane/feed/snapshot_diff.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace ringway::dp {
namespace {

using Endpoints = std::vector<api::Endpoint>;

bool SmallerId(const api::Endpoint& a, const api::Endpoint& b) { return a.id < b.id; }
bool Sorted(const Endpoints& endpoints) { return std::is_sorted(endpoints.begin(), endpoints.end(), SmallerId); }

std::vector<size_t> MergedPositions(const Endpoints& before, const Endpoints& after) {
  std::vector<size_t> positions;
  positions.reserve(after.size());
  size_t next = 0;
  for (const api::Endpoint& endpoint : after) {
    while (next < before.size() && before[next].id < endpoint.id) ++next;
    const bool there = next < before.size() && before[next].id == endpoint.id;
    positions.push_back(there ? next : ServiceChange::kNone);
  }
  return positions;
}

std::vector<size_t> Positions(const Endpoints& before, const Endpoints& after) {
  if (before.empty()) return std::vector<size_t>(after.size(), ServiceChange::kNone);
  if (Sorted(before) && Sorted(after)) return MergedPositions(before, after);
  absl::flat_hash_map<std::string_view, size_t> by_id;
  for (size_t i = 0; i < before.size(); ++i) by_id.emplace(before[i].id, i);
  std::vector<size_t> positions;
  for (const api::Endpoint& endpoint : after) {
    const auto found = by_id.find(endpoint.id);
    positions.push_back(found == by_id.end() ? ServiceChange::kNone : found->second);
  }
  return positions;
}

}  // namespace

size_t ServiceChange::SameInstance(size_t position_after) const {
  const size_t position = positions[position_after];
  if (position == kNone) return kNone;
  const api::Endpoint& a = before->endpoints[position];
  const api::Endpoint& b = after->endpoints[position_after];
  return a.generation == b.generation && a.port == b.port && a.address == b.address ? position : kNone;
}

bool ServiceChange::Same(size_t position_after) const {
  const size_t position = positions[position_after];
  return position != kNone && before->endpoints[position] == after->endpoints[position_after];
}

std::vector<ServiceChange> ChangedServices(const api::Snapshot* before, const api::Snapshot& after) {
  std::map<std::string_view, std::pair<const api::Service*, const api::Service*>> by_name;
  if (before != nullptr) {
    for (const api::Service& service : before->services) by_name[service.name].first = &service;
  }
  for (const api::Service& service : after.services) by_name[service.name].second = &service;
  static const Endpoints kNone;
  std::vector<ServiceChange> changes;
  for (const auto& [name, pair] : by_name) {
    const auto [old, now] = pair;
    if (old != nullptr && now != nullptr && *old == *now) continue;
    changes.push_back({old, now, {}});
    if (now != nullptr) changes.back().positions = Positions(old == nullptr ? kNone : old->endpoints, now->endpoints);
  }
  return changes;
}

}  // namespace ringway::dp
