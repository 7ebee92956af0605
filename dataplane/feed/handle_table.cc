// Small stable integers for identities; see handle_table.h.
#include "dataplane/feed/handle_table.h"

#include <cstdlib>

namespace ringway::dp {

std::optional<uint32_t> HandleTable::Find(const std::string& identity) const {
  const auto found = by_identity_.find(identity);
  if (found == by_identity_.end() || leaving_.contains(found->second)) return std::nullopt;
  return found->second;
}

uint32_t HandleTable::available() const {
  return static_cast<uint32_t>(capacity_ - identities_.size() + free_.size());
}

uint32_t HandleTable::Take(const std::string& identity) {
  const auto found = by_identity_.find(identity);
  if (found != by_identity_.end()) {
    leaving_.erase(found->second);
    return found->second;
  }
  uint32_t handle = 0;
  if (identities_.size() < capacity_) {
    handle = static_cast<uint32_t>(identities_.size());
    identities_.push_back(identity);
  } else {
    if (free_.empty()) std::abort();  // the caller has not asked available()
    handle = free_.front();
    free_.pop_front();
    identities_[handle] = identity;
  }
  by_identity_[identity] = handle;
  return handle;
}

void HandleTable::Leave(uint32_t handle, uint64_t since_map) { leaving_[handle] = {since_map, false}; }

void HandleTable::LeaveForGood(uint32_t handle, uint64_t since_map) {
  by_identity_.erase(identities_[handle]);
  Leave(handle, since_map);
}

void HandleTable::Sweep(uint64_t map_every_worker_runs, const std::function<bool(uint32_t)>& quiet,
                        const std::function<void(uint32_t)>& freed) {
  for (auto it = leaving_.begin(); it != leaving_.end();) {
    auto& [handle, leaving] = *it;
    if (leaving.since_map > map_every_worker_runs || !quiet(handle)) {
      leaving.was_quiet = false;
      ++it;
    } else if (!leaving.was_quiet) {
      leaving.was_quiet = true;
      ++it;
    } else {
      const auto named = by_identity_.find(identities_[handle]);
      if (named != by_identity_.end() && named->second == handle) by_identity_.erase(named);
      free_.push_back(handle);
      freed(handle);
      it = leaving_.erase(it);
    }
  }
}

}  // namespace ringway::dp
