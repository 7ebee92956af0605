// Says in the log when a limit is reached: workers only count. One line per kind every ten seconds at most; and once, that bulk
// has to be copied. Main thread.
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "dataplane/core/worker_shared.h"

namespace ringway::dp {

class LimitLog {
 public:
  explicit LimitLog(std::vector<const WorkerShared*> workers) : workers_(std::move(workers)) {}

  // Lines to log now. Call about once a second.
  std::vector<std::string> Tick(std::chrono::steady_clock::time_point now);

 private:
  struct Kind {
    uint64_t told = 0;  // total when last logged
    std::chrono::steady_clock::time_point at{};
  };
  const std::vector<const WorkerShared*> workers_;
  std::array<Kind, kLimits> kinds_{};
  bool splice_told_ = false;
};

}  // namespace ringway::dp
