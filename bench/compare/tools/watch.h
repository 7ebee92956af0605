// What other processes and the whole machine spent between two moments: --watch. Reads /proc, twice in a run; see proc(5) for
// /proc/PID/stat and /proc/stat, and Documentation/scheduler/sched-stats.rst for /proc/PID/schedstat.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ringway::bench {

class Watch {
 public:
  explicit Watch(const std::vector<int>& pids);
  void Begin();
  void End();
  // `"watched_cpu_us": {"PID": microseconds, ...}, "machine_cpu_us": ..., "machine_steal_us": ...`; a process that has gone is null.
  std::string Json() const;

 private:
  struct Machine {
    int64_t busy_us = 0, steal_us = 0;
  };
  static int64_t CpuNs(int pid);  // of all its threads; -1: there is no such process
  static Machine ReadMachine();

  std::vector<std::pair<int, int64_t>> watched_;  // PID and nanoseconds: first at the begin, then between
  Machine machine_;
};

}  // namespace ringway::bench
