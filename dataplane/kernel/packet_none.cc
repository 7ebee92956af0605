// Packet delivery in a build without kernel programs (-DRINGWAY_BPF=OFF): it says so, once, and delivers nothing.
#include "common/log/log.h"
#include "dataplane/kernel/packet_delivery.h"
#include "dataplane/kernel/pin_claim.h"
#include "dataplane/kernel/pin_directory.h"

namespace ringway::dp {

void MountBpfFs() {}

class PacketDelivery::Thread {};

PacketDelivery::PacketDelivery(std::string log_folder) : log_folder_(std::move(log_folder)) {}
PacketDelivery::~PacketDelivery() = default;

absl::Status PacketDelivery::Prepare(const api::Snapshot&) {
  if (!prepared_) {
    prepared_ = true;
    status_ = absl::UnimplementedError("this build has no kernel programs (RINGWAY_BPF=OFF)");
    spdlog::error("no packet delivery: {}", std::string(status_.message()));
  }
  return status_;
}

void PacketDelivery::Apply(std::shared_ptr<const api::Snapshot>) {}

PacketStats PacketDelivery::Stats() const {
  PacketStats stats;
  stats.wanted = prepared_;
  stats.trouble = std::string(status_.message());
  return stats;
}

uint64_t PacketDelivery::FlowsOf(const std::string&, const api::Endpoint&) const { return 0; }
uint64_t PacketDelivery::FlowsOpen() const { return 0; }
void PacketDelivery::Drain() {}
void PacketDelivery::Leave() {}
absl::Status PacketDelivery::Detach() { return absl::OkStatus(); }
absl::Status PacketDelivery::RemoveTraces(const std::string&) { return absl::UnimplementedError("this build has no kernel programs (RINGWAY_BPF=OFF)"); }

}  // namespace ringway::dp
