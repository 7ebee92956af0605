// BPF: privileges, BTF, cgroup v2, and each program type that Ringway can load, asked of the kernel through libbpf's probes.
// All of it is optional: what is refused here costs only what its line says.
#include <bpf/libbpf.h>
#include <linux/capability.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "common/probe/probe.h"
#include "common/probe/proc.h"

namespace ringway::probe {
namespace {

struct ProgramType {
  bpf_prog_type type;
  const char* what;
  const char* lost;
};

constexpr ProgramType kPrograms[] = {
    {BPF_PROG_TYPE_SK_REUSEPORT, "sk_reuseport programs", "new connections are spread over workers by the kernel's hash alone"},
    {BPF_PROG_TYPE_SCHED_CLS, "tc programs", "delivery \"packet\" through bridges, veth and containers"},
    {BPF_PROG_TYPE_XDP, "XDP programs", "delivery \"packet\" on physical network cards"},
    {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "cgroup connect programs", "delivery \"connect\" for clients on this host"},
};

int Quiet(libbpf_print_level, const char*, va_list) { return 0; }

Finding ProbeCapability(int number, const char* name, const char* lost) {
  Finding finding{.group = "bpf", .what = name, .verdict = Verdict::kYes, .detail = "held", .lost = "", .remedy = ""};
  if (HasCapability(number)) return finding;
  if (HasCapability(CAP_SYS_ADMIN) && (number == CAP_BPF || number == CAP_PERFMON)) return finding.detail = "not held, but CAP_SYS_ADMIN includes it", finding;
  finding.verdict = Verdict::kNo;
  finding.detail = "not held";
  finding.lost = lost;
  finding.remedy = std::string("--cap-add ") + (name + 4) + ", AmbientCapabilities=" + name + ", or a privileged container";
  return finding;
}

Finding ProbeBtf() {
  Finding finding{.group = "bpf", .what = "kernel types (BTF)", .verdict = Verdict::kYes, .detail = "/sys/kernel/btf/vmlinux is there", .lost = "", .remedy = ""};
  if (access("/sys/kernel/btf/vmlinux", R_OK) == 0) return finding;
  finding.verdict = Verdict::kNo;
  finding.detail = "/sys/kernel/btf/vmlinux is missing or not readable";
  finding.lost = "all BPF programs: they are relocated against the kernel's types when loaded";
  finding.remedy = "a kernel with CONFIG_DEBUG_INFO_BTF=y";
  return finding;
}

Finding ProbeCgroup() {
  Finding finding{.group = "bpf", .what = "cgroup v2", .verdict = Verdict::kNo, .detail = "no cgroup2 file system is mounted", .lost = "delivery \"connect\"", .remedy = "mount -t cgroup2 none DIRECTORY"};
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string device;
    std::string where;
    std::string type;
    fields >> device >> where >> type;
    if (type != "cgroup2") continue;
    return {.group = "bpf", .what = "cgroup v2", .verdict = Verdict::kYes, .detail = "mounted on " + where, .lost = "", .remedy = ""};
  }
  return finding;
}

Finding ProbeProgram(const ProgramType& program) {
  Finding finding{.group = "bpf", .what = program.what, .verdict = Verdict::kYes, .detail = "the kernel loads them", .lost = "", .remedy = ""};
  const int result = libbpf_probe_bpf_prog_type(program.type, nullptr);
  if (result == 1) return finding;
  finding.verdict = Verdict::kNo;
  finding.lost = program.lost;
  if (result == 0 && !HasCapability(CAP_BPF) && !HasCapability(CAP_SYS_ADMIN)) {
    finding.detail = "cannot be told: loading a program needs CAP_BPF";
  } else {
    finding.detail = result == 0 ? "this kernel does not have them" : std::string("cannot be told: ") + std::strerror(-result);
  }
  return finding;
}

}  // namespace

std::vector<Finding> ProbeBpf() {
  libbpf_set_print(Quiet);
  std::vector<Finding> findings = {ProbeCapability(CAP_BPF, "CAP_BPF", "all kernel programs: delivery \"packet\" and \"connect\", steering"),
                                   ProbeCapability(CAP_NET_ADMIN, "CAP_NET_ADMIN", "delivery \"packet\" and \"connect\", steering of new connections"),
                                   ProbeCapability(CAP_PERFMON, "CAP_PERFMON", "delivery \"packet\" and \"connect\", whose programs the verifier refuses then"),
                                   ProbeBtf(), ProbeCgroup()};
  for (const ProgramType& program : kPrograms) findings.push_back(ProbeProgram(program));
  return findings;
}

}  // namespace ringway::probe
