// Hands maps to the workers; see publisher.h.
#include "dataplane/feed/publisher.h"

#include <algorithm>

namespace ringway::dp {

void Publisher::Publish(std::unique_ptr<const BackendMap> map) {
  const BackendMap* raw = map.get();
  maps_.push_back(std::move(map));
  for (const WorkerPort& worker : workers_) {
    worker.shared->next_map.store(raw, std::memory_order_release);
    worker.wake();
  }
}

uint64_t Publisher::version_oldest() const {
  uint64_t oldest = UINT64_MAX;
  for (const WorkerPort& worker : workers_) {
    if (worker.shared->stopped.load(std::memory_order_acquire)) continue;
    oldest = std::min(oldest, worker.shared->map_version.load(std::memory_order_acquire));
  }
  return oldest;
}

void Publisher::Collect() {
  const uint64_t oldest = version_oldest();
  while (maps_.size() > 1 && maps_.front()->version < oldest) maps_.pop_front();
}

}  // namespace ringway::dp
