// Hands maps to the workers and takes them back: stores the newest in each mailbox, wakes the workers, and frees a map when
// every worker runs a later one. Main thread; the workers only see WorkerShared.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "dataplane/core/worker_shared.h"

namespace ringway::dp {

struct WorkerPort {
  WorkerShared* shared = nullptr;
  std::function<void()> wake;  // ends the worker's wait for completions
};

class Publisher {
 public:
  explicit Publisher(std::vector<WorkerPort> workers) : workers_(std::move(workers)) {}

  // Maps come with growing versions. The one before must run everywhere first: a map that a worker never took would leave
  // the listening sockets in it without an owner.
  void Publish(std::unique_ptr<const BackendMap> map);
  // The least version that any worker runs; workers that have stopped run nothing and do not count.
  uint64_t version_oldest() const;
  bool EveryWorkerRuns(uint64_t version) const { return version_oldest() >= version; }
  // Frees maps that no worker can see any more.
  void Collect();
  size_t maps() const { return maps_.size(); }
  const std::vector<WorkerPort>& workers() const { return workers_; }

 private:
  const std::vector<WorkerPort> workers_;
  std::deque<std::unique_ptr<const BackendMap>> maps_;  // oldest first, the last one is current
};

}  // namespace ringway::dp
