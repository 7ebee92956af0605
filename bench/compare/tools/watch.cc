#include "bench/compare/tools/watch.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace ringway::bench {

Watch::Watch(const std::vector<int>& pids) {
  for (const int pid : pids) watched_.emplace_back(pid, 0);
}

void Watch::Begin() {
  machine_ = ReadMachine();
  for (auto& [pid, spent] : watched_) spent = CpuNs(pid);
}

void Watch::End() {
  for (auto& [pid, spent] : watched_) {
    const int64_t now = CpuNs(pid);
    spent = now < 0 || spent < 0 ? -1 : now - spent;
  }
  const Machine now = ReadMachine();
  machine_ = {now.busy_us - machine_.busy_us, now.steal_us - machine_.steal_us};
}

int64_t Watch::CpuNs(int pid) {
  int64_t sum = -1;
  std::error_code gone;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", gone)) {
    std::ifstream in(task.path() / "schedstat");
    int64_t ran = 0;
    if (in >> ran) sum = (sum < 0 ? 0 : sum) + ran;
  }
  return sum;
}

// user, nice, system, idle, iowait, irq, softirq, steal; in clock ticks.
Watch::Machine Watch::ReadMachine() {
  std::ifstream in("/proc/stat");
  std::string name;
  int64_t fields[8] = {};
  in >> name;
  for (int64_t& field : fields) in >> field;
  const int64_t tick_us = 1000000 / sysconf(_SC_CLK_TCK);
  return {(fields[0] + fields[1] + fields[2] + fields[5] + fields[6]) * tick_us, fields[7] * tick_us};
}

std::string Watch::Json() const {
  std::string list;
  for (const auto& [pid, spent] : watched_) {
    list += std::string(list.empty() ? "" : ", ") + "\"" + std::to_string(pid) + "\": ";
    list += spent < 0 ? "null" : std::to_string(spent / 1000);
  }
  return "\"watched_cpu_us\": {" + list + "}, \"machine_cpu_us\": " + std::to_string(machine_.busy_us) +
         ", \"machine_steal_us\": " + std::to_string(machine_.steal_us);
}

}  // namespace ringway::bench
