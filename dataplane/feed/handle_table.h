// Small stable integers for things that have an identity: endpoints, services, listeners. A handle lives while its identity is
// in the snapshot; then it leaves, and is free again only when every worker runs a map without it and nothing of it is in
// flight any more. Main thread only; bounded by its capacity.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace ringway::dp {

class HandleTable {
 public:
  explicit HandleTable(uint32_t capacity) : capacity_(capacity) {}

  // The handle of a living identity.
  std::optional<uint32_t> Find(const std::string& identity) const;
  // True when Take would not need a free handle.
  bool Known(const std::string& identity) const { return by_identity_.contains(identity); }
  // How many more identities there is room for.
  uint32_t available() const;

  // The living handle of this identity: the one it has, the one it is just leaving, or a free one. Needs room.
  uint32_t Take(const std::string& identity);
  // From the map with this sequence number on, no worker is told of the handle.
  void Leave(uint32_t handle, uint64_t since_map);
  // As Leave, and the identity gets another handle when it comes back.
  void LeaveForGood(uint32_t handle, uint64_t since_map);

  // Frees what every worker has let go of: `quiet` says whether a handle's gauges are all zero, and must say so in two sweeps
  // in a row, so that a worker's last counts of an exchange are in. `freed` is called for each.
  void Sweep(uint64_t map_every_worker_runs, const std::function<bool(uint32_t)>& quiet,
             const std::function<void(uint32_t)>& freed);

  const std::string& IdentityOf(uint32_t handle) const { return identities_[handle]; }
  size_t leaving() const { return leaving_.size(); }

 private:
  struct Leaving {
    uint64_t since_map;
    bool was_quiet;
  };
  const uint32_t capacity_;
  std::vector<std::string> identities_;  // by handle
  std::deque<uint32_t> free_;            // the longest unused first
  std::map<uint32_t, Leaving> leaving_;
  absl::flat_hash_map<std::string, uint32_t> by_identity_;
};

}  // namespace ringway::dp
