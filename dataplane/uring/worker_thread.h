// One worker on its thread, with its ring. Started and joined by the main thread.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "dataplane/core/worker_shared.h"
#include "dataplane/uring/uring_io.h"

namespace ringway::dp {

struct WorkerThreadOptions {
  uint32_t index = 0;
  uint32_t sessions_max = 4096;   // of this worker
  uint32_t upstreams_max = 4096;  // of this worker
  uint32_t files_max = 8192;      // of this worker, for both
  bool splice = true;             // never with sockets that a kernel program redirects bytes into: splice does not see those
  int cpu = -1;                   // runs on this one alone; -1: where the kernel likes
  UringOptions uring;
};

class WorkerThread {
 public:
  // Returns when the worker's ring is up, or why it is not. `shared` outlives the thread.
  static absl::StatusOr<std::unique_ptr<WorkerThread>> Start(const WorkerThreadOptions& options, WorkerShared& shared);
  // Joins: the worker must have been told to stop.
  virtual ~WorkerThread() = default;
  // Makes the worker look at its mailbox and its stop order. Any thread.
  virtual void Wake() = 0;
};

}  // namespace ringway::dp
