// The programs of packet delivery: loads them over the maps that are pinned, or makes and pins new ones, and attaches them to
// interfaces. Links are pinned too: what is attached stays so when this process dies, and the next one replaces the program in
// one step. On kernels before 6.6 (no tcx) the tc program is a filter of a clsact qdisc, which outlives us by itself.
// Everything stands in PIN_DIR/l4-vN; Detach removes it, and with it every trace. What an older release left in a folder of
// another number is taken over: its flows where their layout is the same, its links always. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/api/feed.h"
#include "dataplane/kernel/flow_ender.h"
#include "dataplane/kernel/packet_maps.h"
#include "dataplane/kernel/pin_claim.h"

namespace ringway::dp {

// How many entries of the flow table `packet` asks for.
uint32_t FlowEntries(const api::Packet& packet);

class PacketPrograms {
 public:
  // NotFound, Unimplemented, PermissionDenied...: in words, with the path of the verifier's log where there is one.
  // `home`: where what is pinned there was attached, kHere or kGone.
  static absl::StatusOr<std::unique_ptr<PacketPrograms>> Load(const api::Packet& packet, const std::string& log_folder, PinHome home);
  ~PacketPrograms();

  const PacketMapFds& maps() const { return fds_; }
  FlowEnder& ender() const;
  // Why XDP is not to be had here; OK when its program is loaded. Tried once.
  absl::Status LoadXdp();

  // Returns how it is attached: "tcx", "clsact", or with XDP "xdp (driver) and tcx". XDP that cannot be had leaves tc, and
  // `trouble` says why. Called again for the same interface it changes nothing but the program.
  absl::StatusOr<std::string> AttachTo(uint32_t ifindex, api::PacketMode mode, std::string& trouble);
  // The range of NAT's ports, for new flows from now on.
  void SetPorts(const api::Packet& packet);
  const std::string& pin_dir() const;  // as it was at the start
  // The interface is gone, or no longer wanted.
  void DetachFrom(uint32_t ifindex);
  // Those of `interfaces` that take frames from XDP may get them; all others are reached through tc. Looked at anew each time.
  void SetXdpPorts(const std::vector<uint32_t>& interfaces);
  // Interfaces that an earlier process attached to.
  std::vector<uint32_t> Attached() const;

  // Something of an earlier process, of this release or an older one, is pinned below `pin_dir`.
  static bool AreThere(const std::string& pin_dir);
  // Removes every trace of packet delivery below `pin_dir`, of whatever process and release. Nothing there is fine.
  // FailedPrecondition: there are filters of a clsact qdisc, kElsewhere.
  static absl::Status Detach(const std::string& pin_dir, PinHome home);

 private:
  struct State;
  explicit PacketPrograms(std::unique_ptr<State> state);
  absl::StatusOr<std::string> AttachTc(uint32_t ifindex);
  absl::StatusOr<std::string> AttachXdp(uint32_t ifindex);

  std::unique_ptr<State> state_;
  PacketMapFds fds_;
};

}  // namespace ringway::dp
