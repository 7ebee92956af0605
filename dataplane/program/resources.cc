// What this process may use; see resources.h.
#include "dataplane/program/resources.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace ringway::dp {
namespace {

constexpr uint64_t kFilesReserved = 512;
// Slots are made at start, so memory bounds them too.
constexpr uint64_t kPerWorkerMax = 32768;
constexpr uint64_t kPerWorkerMin = 16;

// Zero: no quota.
uint32_t QuotaCpus() {
  std::string quota;
  double period = 0;
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); v2 >> quota >> period) {
    if (quota == "max" || period <= 0) return 0;
    return static_cast<uint32_t>(std::max(1.0, (std::stod(quota) + period - 1) / period));
  }
  double quota_us = 0;
  std::ifstream v1_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (!(v1_quota >> quota_us) || !(v1_period >> period) || quota_us <= 0 || period <= 0) return 0;
  return static_cast<uint32_t>(std::max(1.0, (quota_us + period - 1) / period));
}

}  // namespace

uint32_t UsableCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  uint32_t cpus = 1;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cpus = static_cast<uint32_t>(CPU_COUNT(&set));
  if (const uint32_t quota = QuotaCpus(); quota != 0) cpus = std::min(cpus, quota);
  return std::max(cpus, 1u);
}

uint64_t RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  if (limit.rlim_cur < limit.rlim_max) {
    const rlimit raised{limit.rlim_max, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur;
}

SessionShare ShareFiles(uint64_t files, uint32_t workers, uint32_t sessions_max) {
  const uint64_t usable = files > 2 * kFilesReserved ? files - kFilesReserved : files / 2;
  const uint64_t most = std::clamp(usable * 3 / 4 / workers, kPerWorkerMin, kPerWorkerMax);
  const uint64_t sessions = sessions_max == 0 ? most : std::clamp<uint64_t>((sessions_max + workers - 1) / workers, 1, most);
  const uint64_t own = std::clamp(usable / workers, kPerWorkerMin, 2 * kPerWorkerMax);
  return {static_cast<uint32_t>(sessions), static_cast<uint32_t>(most), static_cast<uint32_t>(own)};
}

std::string PoolTooSmall(uint64_t endpoints, const SessionShare& share) {
  const uint64_t kept = std::min(share.upstreams_max - share.upstreams_max / 8, share.files_max - share.files_max / 8);
  if (endpoints <= kept) return {};
  return std::to_string(endpoints) + " endpoints, but a worker keeps no more than " + std::to_string(kept) +
         " idle connections: requests open new ones, which is dearer (raise the limit of open files: ulimit -n, LimitNOFILE=; " +
         std::to_string(kPerWorkerMax) + " a worker at most)";
}

}  // namespace ringway::dp
