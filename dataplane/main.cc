// ringway-dataplane: the command line. What it starts is in program/dataplane.cc.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>

#include "common/log/log.h"
#include "dataplane/kernel/packet_delivery.h"
#include "dataplane/kernel/pin_directory.h"
#include "dataplane/kernel/try_programs.h"
#include "dataplane/program/dataplane.h"
#include "dataplane/program/exit_codes.h"

namespace {

const char* NameOf(ringway::dp::ProgramVerdict verdict) {
  switch (verdict) {
    case ringway::dp::ProgramVerdict::kUsable: return "usable";
    case ringway::dp::ProgramVerdict::kNo: return "no";
    case ringway::dp::ProgramVerdict::kNoProgram: return "none";
  }
  return "no";
}

}  // namespace

int main(int argc, char** argv) {
  ringway::dp::DataplaneOptions options;
  options.run_dir = "/run/ringway";
  options.state_dir = "/var/lib/ringway";
  CLI::App app("Ringway's proxy: takes its listeners, services and endpoints from the control plane's feed.");
  app.set_version_flag("--version", "ringway-dataplane " RINGWAY_VERSION);
  app.add_option("--run-dir", options.run_dir, "Folder of feed.sock")->envname("RINGWAY_RUN_DIR")->capture_default_str();
  app.add_option("--state-dir", options.state_dir, "Folder of the kept snapshot")
      ->envname("RINGWAY_STATE_DIR")
      ->capture_default_str();
  app.add_option("--workers", options.workers, "Worker threads; 0: one for each usable CPU")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--bulk", options.bulk, "Move long bodies and streams by splice, through pipes, or by copy, through buffers")
      ->envname("RINGWAY_BULK")
      ->check(CLI::IsMember({"splice", "copy"}))
      ->capture_default_str();
  app.add_option("--pin", options.pin, "Run each worker on one CPU: auto, or CPUs like 0-3,8, one worker each unless --workers says else");
  app.add_flag("--huge-pages", options.huge_pages, "Huge pages for receive buffers, where they are to be had");
  app.add_flag("--take-over", options.take_over, "Take the listening sockets of the dataplane that serves in the run directory");
  app.add_option("--status-fd", options.status_fd, "Descriptor to say on how far it is (used by ringway up)");
  app.add_option("--snapshot", options.snapshot_file, "Run this snapshot (JSON) alone, without control plane and state");
  std::string traces;
  app.add_option("--remove-packet-delivery", traces, "Detach packet delivery's programs, drop its maps and flows pinned in this folder (packet.pin_dir), and exit")
      ->expected(0, 1)
      ->default_str("/sys/fs/bpf/ringway");
  bool try_programs = false;
  app.add_flag("--try-programs", try_programs, "Load each kernel program, say of each whether it is usable, and exit (used by ringway capabilities)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    return code == 0 ? ringway::dp::kExitOk : ringway::dp::kExitUsage;
  }
  const absl::Status log = ringway::log::InitFromEnvironment("ringway-dataplane");
  if (!log.ok()) spdlog::warn("{}", std::string(log.message()));
  if (app.count("--remove-packet-delivery") != 0) {
    const absl::Status removed = ringway::dp::PacketDelivery::RemoveTraces(traces.empty() ? "/sys/fs/bpf/ringway" : traces);
    if (!removed.ok()) spdlog::error("{}", std::string(removed.message()));
    return removed.ok() ? ringway::dp::kExitOk : ringway::dp::kExitUnavailable;
  }
  if (try_programs) {
    for (const ringway::dp::ProgramFinding& one : ringway::dp::TryPrograms(options.state_dir + "/kernel", ringway::dp::kPinDirectory)) {
      std::cout << one.name << "\t" << one.what << "\t" << NameOf(one.verdict) << "\t" << one.detail << "\n";
    }
    return ringway::dp::kExitOk;
  }
  try {
    return ringway::dp::RunDataplane(options);
  } catch (const std::exception& e) {
    spdlog::critical("internal error: {}", e.what());
    return ringway::dp::kExitInternal;
  }
}
