// Packet delivery as the rest of the dataplane sees it: told of snapshots, asked for counts. The programs are loaded by Prepare;
// from then on a thread of its own writes the maps (the newest snapshot, those between are skipped), attaches to interfaces as
// they come and go, ends flows that are over and counts. Without libbpf: in a build without kernel programs all of this
// says that it cannot (packet_none.cc). Called on the main thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/api/feed.h"
#include "dataplane/kernel/packet_stats.h"

namespace ringway::dp {

class PinClaim;

class PacketDelivery {
 public:
  // `log_folder` gets the verifier's log of a program that is refused.
  explicit PacketDelivery(std::string log_folder);
  ~PacketDelivery();  // as Leave()

  // Loads the programs over what is pinned, the first time; later calls answer the same. OK: the kernel delivers the packets of
  // this snapshot's listeners once it is applied. The reason against it is logged here, once.
  absl::Status Prepare(const api::Snapshot& snapshot);
  // Returns at once.
  void Apply(std::shared_ptr<const api::Snapshot> snapshot);

  PacketStats Stats() const;
  // Open flows of an endpoint that drains or has left: at least 1 until the programs are known to give it no more and its flows
  // have been counted since. 0 for one that packet delivery does not know.
  uint64_t FlowsOf(const std::string& service, const api::Endpoint& endpoint) const;
  // At least 1 until they have been counted since the last change.
  uint64_t FlowsOpen() const;

  // No new flows; those that there are go on.
  void Drain();
  // The thread ends. Maps, links and flows stay for whoever comes: a successor, or the next start.
  void Leave();
  // As Leave; then all of it is removed.
  absl::Status Detach();

  // Removes what any dataplane has left below `pin_dir`. Nothing there is fine. FailedPrecondition: one runs with it.
  static absl::Status RemoveTraces(const std::string& pin_dir);

 private:
  class Thread;
  absl::Status Load(const api::Snapshot& snapshot);
  absl::Status Begin(const api::Packet& packet);
  absl::Status RemoveAll();

  const std::string log_folder_;
  std::string pin_dir_;
  bool prepared_ = false;
  absl::Status status_;
  std::unique_ptr<PinClaim> claim_;  // of pin_dir_, until nothing of ours works on it
  std::unique_ptr<Thread> thread_;
};

}  // namespace ringway::dp
