// What this process may use: CPUs and open files. Read once at start.
#pragma once

#include <cstdint>

namespace ringway::dp {

// CPUs of sched_getaffinity(2), cut to the cgroup's CPU quota (v2 cpu.max, v1 cpu.cfs_quota_us) rounded up. At least 1.
uint32_t UsableCpus();

// Raises the soft limit of open files to the hard one and returns it.
uint64_t RaiseFileLimit();

// How the open files are shared out: a session is one file, its upstream another; some stay for listeners, the feed and stats.
struct SessionShare {
  uint32_t sessions_max;   // per worker
  uint32_t upstreams_max;  // per worker
};
// `sessions_max` is the configured total, zero for as many as the files allow.
SessionShare ShareFiles(uint64_t files, uint32_t workers, uint32_t sessions_max);

}  // namespace ringway::dp
