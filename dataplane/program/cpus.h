// Which CPU each worker runs on, when `--pin` says so; and that what the main thread makes for a worker lies in that CPU's memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace ringway::dp {

using CpuList = std::vector<uint32_t>;

// "0-3,8" in the order given, each CPU once. InvalidArgument says what was wanted.
absl::StatusOr<CpuList> ParseCpuList(const std::string& text);

// The CPUs of sched_getaffinity(2), which a cgroup's cpuset narrows; ascending.
CpuList AllowedCpus();

// For `--pin`: "" is nobody, "auto" all that are allowed, else a list of some of these.
absl::StatusOr<CpuList> CpusToPin(const std::string& pin, const CpuList& allowed);

// The memory node of a CPU; 0 where there is only one.
uint32_t NodeOf(uint32_t cpu);

// While it lives, pages that this thread touches first come from the node of `cpu`, if it has any left. Does nothing on a machine with
// one node. set_mempolicy(2).
class PreferNode {
 public:
  explicit PreferNode(uint32_t cpu);
  ~PreferNode();
  PreferNode(const PreferNode&) = delete;
  PreferNode& operator=(const PreferNode&) = delete;

 private:
  bool set_ = false;
};

}  // namespace ringway::dp
