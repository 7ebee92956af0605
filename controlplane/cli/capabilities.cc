// `ringway capabilities`: what this kernel and these privileges allow, and for each refusal what is lost and how to get it.
#include <iostream>

#include "common/probe/probe.h"
#include "controlplane/cli/commands.h"
#include "controlplane/exit_codes.h"

namespace ringway::cp {

int Capabilities() {
  bool runs = true;
  std::string group;
  for (const probe::Finding& finding : probe::ProbeAll()) {
    if (finding.group != group) std::cout << (group.empty() ? "" : "\n") << finding.group << "\n";
    if (group != "bpf" && finding.group == "bpf") std::cout << "  (for kernel programs, of which this release has none yet: nothing is lost today)\n";
    group = finding.group;
    const char* mark = finding.verdict == probe::Verdict::kYes ? "yes   " : finding.verdict == probe::Verdict::kPartly ? "partly" : "no    ";
    std::cout << "  " << mark << "  " << finding.what << ": " << finding.detail << "\n";
    if (!finding.lost.empty()) std::cout << "          lost without it: " << finding.lost << "\n";
    if (!finding.remedy.empty()) std::cout << "          remedy: " << finding.remedy << "\n";
    const bool needed = finding.group == "kernel" || finding.group == "io_uring";
    if (needed && finding.verdict == probe::Verdict::kNo) runs = false;
  }
  std::cout << "\n" << (runs ? "Ringway runs here." : "Ringway cannot run here: see the first \"no\" above.") << "\n";
  return runs ? 0 : kExitUnavailable;
}

}  // namespace ringway::cp
