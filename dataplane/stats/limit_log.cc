// Says in the log when a limit is reached; see limit_log.h.
#include "dataplane/stats/limit_log.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace ringway::dp {
namespace {

constexpr std::chrono::seconds kEvery{10};

// What it means and what to do, in the order of kLimitNames.
constexpr std::array<const char*, kLimits> kMeaning = {
    "new connections wait in the kernel's queue until a session ends (sessions_max, or the limit of open files)",
    "no idle upstream was left to close: requests are answered 503 (limit of open files)",
    "no file descriptor is free; accepting pauses, requests that need one are answered 503, long bodies go without pipes (raise the limit of open files: ulimit -n, LimitNOFILE=)",
    "requests are answered 503",
    "receives wait until a small buffer is returned",
    "long bodies go through small buffers instead, which is dearer",
    "long bodies go through large buffers instead of pipes, which is dearer (clients that read slowly hold them)",
};
static_assert(kMeaning.back() != nullptr);

bool SpliceRefused(const WorkerShared* worker) { return worker->bulk.load(std::memory_order_relaxed) == BulkBy::kCopySpliceRefused; }

}  // namespace

std::vector<std::string> LimitLog::Tick(std::chrono::steady_clock::time_point now) {
  std::vector<std::string> lines;
  if (!splice_told_ && std::any_of(workers_.begin(), workers_.end(), SpliceRefused)) {
    splice_told_ = true;
    lines.push_back("splice(2) is refused here, by the kernel or a sandbox (a seccomp profile must allow it): long bodies and streams are "
                    "copied through buffers, which is dearer; nothing is lost");
  }
  for (size_t i = 0; i < kLimits; ++i) {
    uint64_t total = 0;
    for (const WorkerShared* worker : workers_) total += worker->counters.worker.limits_total[i].Get();
    Kind& kind = kinds_[i];
    const bool recent = kind.told != 0 && now - kind.at < kEvery;
    if (total == kind.told || recent) continue;
    lines.push_back(absl::StrCat("limit of ", kLimitNames[i], " reached ", total - kind.told,
                                 " times (", total, " since start): ", kMeaning[i]));
    kind = {total, now};
  }
  return lines;
}

}  // namespace ringway::dp
