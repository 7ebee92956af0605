// The delivery's start and end; what it does in between is packet_thread.h. See packet_delivery.h.
#include "dataplane/kernel/packet_delivery.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log/log.h"
#include "dataplane/kernel/packet_programs.h"
#include "dataplane/kernel/packet_thread.h"
#include "dataplane/kernel/packet_wanted.h"
#include "dataplane/kernel/pin_claim.h"

namespace ringway::dp {
namespace {

constexpr std::chrono::seconds kClaimWait{2};
const PinWords kWords{"packet.pin_dir", "ringway-dataplane --remove-packet-delivery"};

bool IsLeftBehind(const std::string& folder) { return PacketPrograms::AreThere(folder) && PinClaim::IsFree(folder); }

}  // namespace

class PacketDelivery::Thread : public PacketThread {
 public:
  using PacketThread::PacketThread;
};

PacketDelivery::PacketDelivery(std::string log_folder) : log_folder_(std::move(log_folder)) {}
PacketDelivery::~PacketDelivery() { Leave(); }

absl::Status PacketDelivery::Prepare(const api::Snapshot& snapshot) {
  if (std::exchange(prepared_, true)) return status_;
  status_ = Load(snapshot);
  if (!status_.ok()) spdlog::error("no packet delivery, its listeners fall back as they say: {}", std::string(status_.message()));
  return status_;
}

absl::Status PacketDelivery::Load(const api::Snapshot& snapshot) {
  pin_dir_ = snapshot.packet.pin_dir;
  absl::StatusOr<PinClaim> claim = PinClaim::Take(pin_dir_, kWords, kClaimWait);
  if (!claim.ok()) return claim.status();
  claim_ = std::make_unique<PinClaim>(*std::move(claim));
  absl::Status status = Begin(snapshot.packet);
  if (status.ok()) return status;
  // What an earlier process left attached would go on by its tables with nobody to feed them.
  if (absl::Status left = RemoveAll(); !left.ok()) {
    status = absl::Status(status.code(), absl::StrCat(status.message(), "; and the kernel still delivers by what an earlier process left: ", left.message()));
  }
  return status;
}

absl::Status PacketDelivery::Begin(const api::Packet& packet) {
  absl::StatusOr<std::unique_ptr<PacketPrograms>> programs = PacketPrograms::Load(packet, log_folder_, claim_->home());
  if (!programs.ok()) return programs.status();
  if (absl::Status s = claim_->Mark(); !s.ok()) return s;
  // Now, while there are the privileges for it; whoever asks for XDP is told if it was refused.
  (*programs)->LoadXdp().IgnoreError();
  auto thread = std::make_unique<Thread>(*std::move(programs));
  if (absl::Status s = thread->Start(); !s.ok()) return s;
  thread_ = std::move(thread);
  return absl::OkStatus();
}

absl::Status PacketDelivery::RemoveAll() {
  const absl::Status status = PacketPrograms::Detach(pin_dir_, claim_->home());
  if (status.ok()) std::move(*claim_).Remove();
  claim_.reset();
  return status;
}

// What an earlier process left goes on serving its listeners: they may be gone from the config meanwhile. What belongs to another
// dataplane that runs is none of ours.
void PacketDelivery::Apply(std::shared_ptr<const api::Snapshot> snapshot) {
  if (!prepared_ && IsLeftBehind(snapshot->packet.pin_dir)) Prepare(*snapshot).IgnoreError();
  if (thread_ != nullptr) thread_->Apply(std::move(snapshot));
}

PacketStats PacketDelivery::Stats() const {
  PacketStats stats;
  if (thread_ != nullptr) stats = thread_->Stats();
  stats.wanted = prepared_;
  if (!status_.ok()) stats.trouble = std::string(status_.message());
  return stats;
}

uint64_t PacketDelivery::FlowsOf(const std::string& service, const api::Endpoint& endpoint) const {
  return thread_ == nullptr ? 0 : thread_->FlowsOf(PacketIdentity(service, endpoint));
}

uint64_t PacketDelivery::FlowsOpen() const { return thread_ == nullptr ? 0 : thread_->FlowsOpen(); }

void PacketDelivery::Drain() {
  if (thread_ != nullptr) thread_->Drain();
}

void PacketDelivery::Leave() {
  thread_.reset();
  claim_.reset();
}

absl::Status PacketDelivery::Detach() {
  if (thread_ == nullptr) return absl::OkStatus();
  thread_.reset();
  return RemoveAll();
}

absl::Status PacketDelivery::RemoveTraces(const std::string& pin_dir) {
  if (!PacketPrograms::AreThere(pin_dir)) return absl::OkStatus();
  absl::StatusOr<PinClaim> claim = PinClaim::TakeToRemove(pin_dir, kWords, kClaimWait);
  if (!claim.ok()) return claim.status();
  if (absl::Status s = PacketPrograms::Detach(pin_dir, claim->home()); !s.ok()) return s;
  std::move(*claim).Remove();
  return absl::OkStatus();
}

}  // namespace ringway::dp
