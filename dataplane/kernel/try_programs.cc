// See try_programs.h.
#include "dataplane/kernel/try_programs.h"

#include "bpf/lb_abi.h"
// After the ABI, whose options stand in their rodata.
#include <connect.skel.h>
#include <l4_tc.skel.h>
#include <l4_xdp.skel.h>
#include <steer.skel.h>

#include "dataplane/kernel/bpf_object.h"

namespace ringway::dp {
namespace {

template <typename Skeleton>
ProgramFinding Try(const char* name, const char* what, const std::string& log_folder) {
  ProgramFinding finding{name, what, false, ""};
  absl::StatusOr<BpfObject<Skeleton>> object = BpfObject<Skeleton>::Open(name, log_folder);
  const absl::Status status = object.ok() ? object->Load() : object.status();
  finding.usable = status.ok();
  finding.detail = std::string(status.message());
  return finding;
}

}  // namespace

std::vector<ProgramFinding> TryPrograms(const std::string& log_folder) {
  return {Try<l4_tc_bpf>("l4_tc", "delivery \"packet\"", log_folder),
          Try<l4_xdp_bpf>("l4_xdp", "delivery \"packet\" on interfaces with mode \"xdp\"", log_folder),
          Try<connect_bpf>("connect", "delivery \"connect\"", log_folder),
          Try<steer_bpf>("steer", "choosing the worker of a new connection", log_folder)};
}

}  // namespace ringway::dp
