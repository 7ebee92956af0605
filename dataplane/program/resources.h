// What this process may use: CPUs and open files. Read once at start.
#pragma once

#include <cstdint>
#include <string>

namespace ringway::dp {

// CPUs of sched_getaffinity(2), cut to the cgroup's CPU quota (v2 cpu.max, v1 cpu.cfs_quota_us) rounded up. At least 1.
uint32_t UsableCpus();

// Raises the soft limit of open files to the hard one and returns it.
uint64_t RaiseFileLimit();

// How the open files are shared out: a session is one file, an upstream another; some stay for listeners, the feed and stats. Either
// may take three quarters: idle upstreams are closed when both together come near `files_max`.
struct SessionShare {
  uint32_t sessions_max;   // per worker
  uint32_t upstreams_max;  // per worker
  uint32_t files_max;      // per worker
};
// `sessions_max` is the configured total, zero for as many as the files allow.
SessionShare ShareFiles(uint64_t files, uint32_t workers, uint32_t sessions_max);

// What to say when a worker cannot keep one connection to each of so many endpoints; empty when it can.
std::string PoolTooSmall(uint64_t endpoints, const SessionShare& share);

}  // namespace ringway::dp
