// The delivery's start and end; what it does in between is packet_thread.h. See packet_delivery.h.
#include "dataplane/kernel/packet_delivery.h"

#include <fcntl.h>
#include <sys/file.h>

#include <chrono>
#include <thread>
#include <utility>

#include "common/log/log.h"
#include "dataplane/kernel/bpf_error.h"
#include "dataplane/kernel/packet_thread.h"
#include "dataplane/kernel/packet_wanted.h"
#include "dataplane/kernel/pin_directory.h"

namespace ringway::dp {
namespace {

constexpr std::chrono::seconds kLockWait{2};
constexpr std::chrono::milliseconds kLockPoll{20};

// One dataplane a folder: two would take each other's slots. The one before lets go when it leaves, or dies.
absl::StatusOr<UniqueFd> Lock(const std::string& folder) {
  absl::StatusOr<PinDirectory> pins = PinDirectory::Open(folder);
  if (!pins.ok()) return pins.status();
  UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return BpfError(errno, folder);
  const auto end = std::chrono::steady_clock::now() + kLockWait;
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (std::chrono::steady_clock::now() >= end) return absl::FailedPreconditionError("another dataplane delivers packets with " + folder + " (packet.pin_dir)");
    std::this_thread::sleep_for(kLockPoll);
  }
  return fd;
}

bool IsLeftBehind(const std::string& folder) {
  if (!PacketPrograms::AreThere(folder)) return false;
  const UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd.get() >= 0 && flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
}

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
  absl::StatusOr<UniqueFd> lock = Lock(pin_dir_);
  if (!lock.ok()) return lock.status();
  absl::StatusOr<std::unique_ptr<PacketPrograms>> programs = PacketPrograms::Load(snapshot.packet, log_folder_);
  if (!programs.ok()) return programs.status();
  // Now, while there are the privileges for it; whoever asks for XDP is told if it was refused.
  (*programs)->LoadXdp().IgnoreError();
  auto thread = std::make_unique<Thread>(*std::move(programs), *std::move(lock));
  if (absl::Status s = thread->Start(); !s.ok()) return s;
  thread_ = std::move(thread);
  return absl::OkStatus();
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

void PacketDelivery::Leave() { thread_.reset(); }

absl::Status PacketDelivery::Detach() {
  if (thread_ == nullptr) return absl::OkStatus();
  thread_.reset();
  return RemoveTraces(pin_dir_);
}

absl::Status PacketDelivery::RemoveTraces(const std::string& pin_dir) { return PacketPrograms::Detach(pin_dir); }

}  // namespace ringway::dp
