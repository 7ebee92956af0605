// The kernel's version and the limits that bound how many sessions and workers there can be.
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "common/probe/probe.h"
#include "common/probe/proc.h"

namespace ringway::probe {
namespace {

std::string LimitText(rlim_t limit, const char* unit) { return limit == RLIM_INFINITY ? "unlimited" : std::to_string(limit) + unit; }

Finding ProbeFiles() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  Finding finding{.group = "limits", .what = "open files", .verdict = Verdict::kYes, .detail = "", .lost = "", .remedy = ""};
  finding.detail = LimitText(files.rlim_cur, "") + ", may be raised to " + LimitText(files.rlim_max, "") + "; a session uses two";
  if (files.rlim_max >= 65536) return finding;
  finding.verdict = Verdict::kPartly;
  finding.lost = "sessions beyond about " + std::to_string(files.rlim_max / 2) + " at the same time";
  finding.remedy = "ulimit -n 1048576, LimitNOFILE=, --ulimit nofile=";
  return finding;
}

Finding ProbeMemlock() {
  rlimit memory{};
  getrlimit(RLIMIT_MEMLOCK, &memory);
  Finding finding{.group = "limits", .what = "locked memory", .verdict = Verdict::kYes, .detail = LimitText(memory.rlim_cur, " bytes"), .lost = "", .remedy = ""};
  constexpr int kCapIpcLock = 14;
  if (memory.rlim_cur >= (64u << 20) || HasCapability(kCapIpcLock)) return finding;
  finding.verdict = Verdict::kPartly;
  finding.lost = "large registered buffers";
  finding.remedy = "ulimit -l unlimited, LimitMEMLOCK=infinity, --ulimit memlock=-1";
  return finding;
}

Finding ProbeBacklog() {
  const long backlog = ReadNumber("/proc/sys/net/core/somaxconn").value_or(0);
  Finding finding{.group = "limits", .what = "listen backlog", .verdict = Verdict::kYes, .detail = "net.core.somaxconn is " + std::to_string(backlog), .lost = "", .remedy = ""};
  if (backlog >= 1024) return finding;
  finding.verdict = Verdict::kPartly;
  finding.lost = "bursts of more than " + std::to_string(backlog) + " new connections a worker wait in the client's SYN";
  finding.remedy = "sysctl net.core.somaxconn=4096";
  return finding;
}

Finding ProbeCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
  std::string detail = std::to_string(count) + " usable: as many workers by default (fewer with a CPU quota)";
  int nodes = 1;
  while (access(("/sys/devices/system/node/node" + std::to_string(nodes)).c_str(), F_OK) == 0) ++nodes;
  if (nodes > 1) detail += "; " + std::to_string(nodes) + " memory nodes: --pin keeps a worker's memory on its own";
  return {.group = "limits", .what = "CPUs", .verdict = Verdict::kYes, .detail = detail, .lost = "", .remedy = ""};
}

// Wanted by --huge-pages alone.
Finding ProbeHugePages() {
  const long free = ReadNumber("/proc/sys/vm/nr_hugepages").value_or(0);
  std::string detail = "vm.nr_hugepages is " + std::to_string(free);
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  if (std::string line; std::getline(file, line)) detail += "; transparent ones: " + line;
  return {.group = "limits", .what = "huge pages", .verdict = Verdict::kYes, .detail = detail + "; used with --huge-pages only", .lost = "", .remedy = ""};
}

}  // namespace

Finding ProbeKernel() {
  utsname name{};
  uname(&name);
  int major = 0;
  int minor = 0;
  std::sscanf(name.release, "%d.%d", &major, &minor);
  Finding finding{.group = "kernel", .what = "Linux", .verdict = Verdict::kYes, .detail = std::string(name.release) + " on " + name.machine, .lost = "", .remedy = ""};
  if (major > 6 || (major == 6 && minor >= 1)) return finding;
  finding.verdict = Verdict::kNo;
  finding.lost = "Ringway needs Linux 6.1";
  finding.remedy = "a newer kernel";
  return finding;
}

std::vector<Finding> ProbeLimits() { return {ProbeFiles(), ProbeMemlock(), ProbeBacklog(), ProbeCpus(), ProbeHugePages()}; }

std::vector<Finding> ProbeAll() {
  std::vector<Finding> all = {ProbeKernel()};
  for (const auto& group : {ProbeUring(), ProbeBpf(), ProbeLimits()}) all.insert(all.end(), group.begin(), group.end());
  return all;
}

std::string Explain(const Finding& finding) {
  std::string text = finding.group + ", " + finding.what + ": " + finding.detail + ".";
  if (!finding.lost.empty()) text += " Lost without it: " + finding.lost + ".";
  if (!finding.remedy.empty()) text += " Remedy: " + finding.remedy + ".";
  return text;
}

}  // namespace ringway::probe
