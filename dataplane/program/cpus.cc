// See cpus.h.
#include "dataplane/program/cpus.h"

#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace ringway::dp {
namespace {

constexpr uint32_t kCpusMax = CPU_SETSIZE;
constexpr uint32_t kNodesMax = 64;

absl::Status Wanted(const std::string& text) {
  return absl::InvalidArgumentError(absl::StrCat("wanted \"auto\" or CPUs like \"0-3,8\", each once, got \"", text, "\""));
}

bool Number(std::string_view text, uint32_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && out < kCpusMax;
}

long SetPolicy(int mode, const unsigned long* nodes) { return syscall(SYS_set_mempolicy, mode, nodes, nodes == nullptr ? 0 : kNodesMax + 1); }

}  // namespace

absl::StatusOr<CpuList> ParseCpuList(const std::string& text) {
  CpuList cpus;
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(text, ','))) {
    const size_t dash = part.find('-');
    uint32_t first = 0, last = 0;
    if (!Number(std::string_view(part).substr(0, dash), first)) return Wanted(text);
    last = first;
    if (dash != std::string::npos && (!Number(std::string_view(part).substr(dash + 1), last) || last < first)) return Wanted(text);
    for (uint32_t cpu = first; cpu <= last; ++cpu) {
      if (std::find(cpus.begin(), cpus.end(), cpu) != cpus.end()) return Wanted(text);
      cpus.push_back(cpu);
    }
  }
  return cpus;
}

CpuList AllowedCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  CpuList cpus;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return {0};
  for (uint32_t cpu = 0; cpu < kCpusMax; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

absl::StatusOr<CpuList> CpusToPin(const std::string& pin, const CpuList& allowed) {
  if (pin.empty()) return CpuList();
  if (pin == "auto") return allowed;
  absl::StatusOr<CpuList> cpus = ParseCpuList(pin);
  if (!cpus.ok()) return cpus.status();
  for (const uint32_t cpu : *cpus) {
    if (std::find(allowed.begin(), allowed.end(), cpu) != allowed.end()) continue;
    return absl::InvalidArgumentError(absl::StrCat("CPU ", cpu, " is none of those this process may use: ", absl::StrJoin(allowed, ",")));
  }
  return cpus;
}

uint32_t NodeOf(uint32_t cpu) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(absl::StrCat("/sys/devices/system/cpu/cpu", cpu), error)) {
    const std::string name = entry.path().filename().string();
    uint32_t node = 0;
    if (name.starts_with("node") && Number(std::string_view(name).substr(4), node)) return node;
  }
  return 0;
}

PreferNode::PreferNode(uint32_t cpu) {
  std::error_code error;
  if (!std::filesystem::exists("/sys/devices/system/node/node1", error)) return;
  const uint32_t node = NodeOf(cpu);
  if (node >= kNodesMax) return;
  const unsigned long nodes = 1ul << node;
  set_ = SetPolicy(MPOL_PREFERRED, &nodes) == 0;
}

PreferNode::~PreferNode() {
  if (set_) SetPolicy(MPOL_DEFAULT, nullptr);
}

}  // namespace ringway::dp
