// See try_programs.h.
#include "dataplane/kernel/try_programs.h"

#include "bpf/lb_abi.h"
// After the ABI, whose options stand in their rodata.
#include <connect.skel.h>
#include <l4_sweep.skel.h>
#include <l4_tc.skel.h>
#include <l4_xdp.skel.h>
#include <steer.skel.h>

#include <utility>

#include "dataplane/kernel/bpf_object.h"
#include "dataplane/kernel/pin_directory.h"

namespace ringway::dp {
namespace {

template <typename Skeleton>
ProgramFinding Try(const char* name, const char* what, const std::string& log_folder) {
  ProgramFinding finding{name, what, ProgramVerdict::kNo, ""};
  absl::StatusOr<BpfObject<Skeleton>> object = BpfObject<Skeleton>::Open(name, log_folder);
  const absl::Status status = object.ok() ? object->Load() : object.status();
  if (status.ok()) finding.verdict = ProgramVerdict::kUsable;
  finding.detail = std::string(status.message());
  return finding;
}

// A delivery begins with the folder for what it pins: without one it is refused, whatever loads.
ProgramFinding Pinned(ProgramFinding finding, const absl::Status& pins) {
  if (finding.verdict != ProgramVerdict::kUsable || pins.ok()) return finding;
  finding.verdict = ProgramVerdict::kNo;
  finding.detail = "it loads, but cannot be pinned (packet.pin_dir, connect.pin_dir): " + std::string(pins.message());
  return finding;
}

}  // namespace

std::vector<ProgramFinding> TryPrograms(const std::string& log_folder, const std::string& pin_folder) {
  const absl::Status pins = PinDirectory::Check(pin_folder);
  ProgramFinding xdp = Pinned(Try<l4_xdp_bpf>("l4_xdp", "delivery \"packet\" on interfaces with mode \"xdp\"", log_folder), pins);
  if (xdp.verdict == ProgramVerdict::kUsable) xdp.detail = "not on a veth whose other end runs neither XDP nor GRO, where frames would be lost: l4_tc alone is used there";
  return {Pinned(Try<l4_tc_bpf>("l4_tc", "delivery \"packet\"", log_folder), pins),
          Pinned(Try<l4_sweep_bpf>("l4_sweep", "delivery \"packet\": ends flows whose time is over", log_folder), pins),
          std::move(xdp),
          Pinned(Try<connect_bpf>("connect", "delivery \"connect\"", log_folder), pins),
          Try<steer_bpf>("steer", "choosing the worker of a new connection", log_folder),
          {"observe", "", ProgramVerdict::kNoProgram,
           "the proxy asks TCP_INFO for round trips and retransmits, packet delivery times the handshakes that pass: cheaper than a program (docs/adr/0010)"},
          {"accelerate", "", ProgramVerdict::kNoProgram,
           "bytes moved from socket to socket can be cut short without a sign, and no guard was found (docs/adr/0011); delivery \"connect\" does without a copy"}};
}

}  // namespace ringway::dp
