// See connect_table.h.
#include "dataplane/kernel/connect_table.h"

#include <algorithm>
#include <cstdint>

namespace ringway::dp {

std::vector<connect_slot> MakeAliasTable(const std::vector<connect_endpoint>& endpoints) {
  const size_t count = endpoints.size();
  std::vector<connect_slot> slots(count);
  uint64_t total = 0;
  for (const connect_endpoint& endpoint : endpoints) total += std::max<uint64_t>(endpoint.weight, 1);
  // In units of which a slot holds `total`, endpoint i has to get weight * count.
  std::vector<uint64_t> rest(count);
  std::vector<size_t> small, large;
  for (size_t i = 0; i < count; ++i) {
    rest[i] = std::max<uint64_t>(endpoints[i].weight, 1) * count;
    (rest[i] < total ? small : large).push_back(i);
  }
  for (size_t i = 0; i < count; ++i) slots[i] = {endpoints[i], endpoints[i], uint64_t{1} << 32};
  while (!small.empty() && !large.empty()) {
    const size_t poor = small.back();
    const size_t rich = large.back();
    small.pop_back();
    slots[poor].other = endpoints[rich];
    slots[poor].keep = (rest[poor] << 32) / total;  // below 2^22 << 32
    rest[rich] -= total - rest[poor];
    if (rest[rich] >= total) continue;
    large.pop_back();
    small.push_back(rich);
  }
  return slots;
}

}  // namespace ringway::dp
