// ringway-sidecar: PID 1 of a web container. Reads its options and files, says what it does not honour, runs.
// Exit codes: the program's own, 128 + signal, 64 wrong command line, 78 wrong configuration (sysexits.h).
#include <nss.h>
#include <sysexits.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <vector>

#include "common/log/log.h"
#include "sidecar/options.h"
#include "sidecar/plan.h"
#include "sidecar/sidecar.h"

namespace {

using ringway::sidecar::Plan;

void Announce(const Plan& plan) {
  for (const std::string& notice : plan.notices) spdlog::info("{}", notice);
  for (const std::string& warning : plan.warnings) spdlog::warn("{}", warning);
  for (const auto& program : plan.programs) {
    if (program.essential) spdlog::info("program {} is essential: when it ends for good, the container ends", program.name);
  }
  if (plan.definitions.services.empty()) {
    spdlog::info("no service is defined: programs are supervised, nothing is registered");
  }
  if (!plan.definitions.leave_on_terminate) {
    spdlog::info("leave_on_terminate is false: a stop leaves the instance in the catalog until its lease ends");
  }
}

// A static program must not load NSS modules: those of another glibc crash it. Files and DNS are inside libc.a since
// glibc 2.34, and are what a container has; a host's systemd or LDAP users are not seen.
void KeepNameServicesInside() {
  __nss_configure_lookup("hosts", "files dns");
  for (const char* database : {"passwd", "group", "initgroups", "services", "protocols"}) {
    __nss_configure_lookup(database, "files");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const absl::Status logging = ringway::log::InitFromEnvironment("ringway-sidecar");
  if (!logging.ok()) spdlog::warn("{}", std::string(logging.message()));
  KeepNameServicesInside();
  std::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  absl::StatusOr<ringway::sidecar::ParsedOptions> parsed = ringway::sidecar::ParseOptions(arguments);
  if (!parsed.ok()) {
    spdlog::error("{}", std::string(parsed.status().message()));
    return EX_USAGE;
  }
  if (parsed->print_and_leave) {
    std::fputs(parsed->print_and_leave->c_str(), stdout);
    return 0;
  }
  absl::StatusOr<Plan> plan = ringway::sidecar::ReadPlan(parsed->options);
  if (!plan.ok()) {
    spdlog::error("{}", std::string(plan.status().message()));
    return EX_CONFIG;
  }
  Announce(*plan);
  ringway::sidecar::Sidecar sidecar(parsed->options, *std::move(plan));
  const int exit_code = sidecar.Run();
  // Not return: the destructors would wait for a name lookup that may hang as long as the resolver likes.
  std::fflush(nullptr);
  _exit(exit_code);
}
