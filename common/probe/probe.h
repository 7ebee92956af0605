// What this kernel and these privileges allow, tried rather than guessed: io_uring with the very flags the workers use, BPF
// program types, limits. Called once at start (dataplane) and by `ringway capabilities`; blocking, a few milliseconds.
// The one place besides dataplane/uring and dataplane/kernel that includes liburing and libbpf.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ringway::probe {

enum class Verdict : uint8_t { kYes, kPartly, kNo };

struct Finding {
  std::string group;    // "kernel", "io_uring", "bpf", "limits"
  std::string what;     // "provided-buffer ring"
  Verdict verdict = Verdict::kYes;
  std::string detail;   // what was found: a version, a number, the kernel's answer
  std::string lost;     // what Ringway cannot do without it; empty when nothing is lost
  std::string remedy;   // how to get it; empty when there is nothing to do
};

// "6.18.44", and whether it is at least 6.1 (the floor).
Finding ProbeKernel();

// Three findings: the ring itself, the provided-buffer ring, and who may refuse it (sysctl, seccomp). The dataplane cannot run
// when one of them is kNo; its start-up message is Explain() of that one.
std::vector<Finding> ProbeUring();

std::vector<Finding> ProbeBpf();
std::vector<Finding> ProbeLimits();

// All of the above, in this order.
std::vector<Finding> ProbeAll();

// One paragraph: what was refused, what is lost, the remedy.
std::string Explain(const Finding& finding);

}  // namespace ringway::probe
