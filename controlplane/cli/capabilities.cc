// `ringway capabilities`: what this kernel and these privileges allow, and for each refusal what is lost and how to get it.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "common/probe/probe.h"
#include "controlplane/cli/commands.h"
#include "controlplane/exit_codes.h"

namespace ringway::cp {

namespace {

std::vector<std::string> Split(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == '\t') fields.emplace_back();
    else fields.back() += c;
  }
  return fields;
}

// "none": there is no such program, and why not.
void PrintProgram(const std::string& name, const std::string& what, const std::string& verdict, const std::string& detail) {
  if (verdict == "none") {
    std::cout << "  -       " << name << ": no program: " << detail << "\n";
  } else if (verdict == "usable") {
    std::cout << "  yes     " << name << ": usable" << (detail.empty() ? "" : "; ") << detail << "\n";
  } else {
    std::cout << "  no      " << (detail.starts_with(name + ": ") ? "" : name + ": ") << detail << "\n          lost without it: " << what << "\n";
  }
}

// The dataplane has the programs; it tries them and tells, a line each: name, what for, "usable", "no" or "none", why.
void PrintPrograms() {
  std::cout << "\nkernel programs\n";
  std::error_code error;
  const std::filesystem::path dataplane = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "ringway-dataplane";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(("'" + dataplane.string() + "' --try-programs").c_str(), "r"), pclose);
  bool any = false;
  char line[4096];
  while (pipe != nullptr && std::fgets(line, sizeof(line), pipe.get()) != nullptr) {
    const std::vector<std::string> fields = Split(std::string(line, std::strcspn(line, "\n")));
    if (fields.size() != 4) continue;
    any = true;
    PrintProgram(fields[0], fields[1], fields[2], fields[3]);
  }
  if (!any) std::cout << "  no      none: this build has none (RINGWAY_BPF=OFF), or " << dataplane.string() << " cannot be run\n";
}

}  // namespace

int Capabilities() {
  bool runs = true;
  std::string group;
  for (const probe::Finding& finding : probe::ProbeAll()) {
    if (finding.group != group) std::cout << (group.empty() ? "" : "\n") << finding.group << "\n";
    group = finding.group;
    const char* mark = finding.verdict == probe::Verdict::kYes ? "yes   " : finding.verdict == probe::Verdict::kPartly ? "partly" : "no    ";
    std::cout << "  " << mark << "  " << finding.what << ": " << finding.detail << "\n";
    if (!finding.lost.empty()) std::cout << "          lost without it: " << finding.lost << "\n";
    if (!finding.remedy.empty()) std::cout << "          remedy: " << finding.remedy << "\n";
    const bool needed = finding.group == "kernel" || finding.group == "io_uring";
    if (needed && finding.verdict == probe::Verdict::kNo) runs = false;
  }
  PrintPrograms();
  std::cout << "\n" << (runs ? "Ringway runs here." : "Ringway cannot run here: see the first \"no\" above.") << "\n";
  return runs ? 0 : kExitUnavailable;
}

}  // namespace ringway::cp
