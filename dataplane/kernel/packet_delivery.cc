// The delivery's start and end; what it does in between is packet_thread.h. See packet_delivery.h.
#include "dataplane/kernel/packet_delivery.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log/log.h"
#include "dataplane/kernel/bpf_error.h"
#include "dataplane/kernel/packet_thread.h"
#include "dataplane/kernel/packet_wanted.h"
#include "dataplane/kernel/pin_directory.h"

namespace ringway::dp {
namespace {

constexpr std::chrono::seconds kLockWait{2};
constexpr std::chrono::milliseconds kLockPoll{20};

// Not a folder that was removed since it was opened.
bool IsStill(int fd, const std::string& folder) {
  struct stat held {}, there {};
  return fstat(fd, &held) == 0 && stat(folder.c_str(), &there) == 0 && held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

// One dataplane a folder: two would take each other's slots. The one before lets go when it leaves, or dies.
absl::StatusOr<UniqueFd> Lock(const std::string& folder) {
  const auto end = std::chrono::steady_clock::now() + kLockWait;
  while (true) {
    absl::StatusOr<PinDirectory> pins = PinDirectory::Open(folder);
    if (!pins.ok()) return pins.status();
    UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() >= 0 && flock(fd.get(), LOCK_EX | LOCK_NB) == 0 && IsStill(fd.get(), folder)) return fd;
    if (fd.get() < 0 && errno != ENOENT) return BpfError(errno, folder);
    if (std::chrono::steady_clock::now() >= end) return absl::FailedPreconditionError("another dataplane delivers packets with " + folder + " (packet.pin_dir)");
    std::this_thread::sleep_for(kLockPoll);
  }
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
  lock_.emplace(*std::move(lock));
  absl::Status status = Begin(snapshot.packet);
  if (status.ok()) return status;
  // What an earlier process left attached would go on by its tables with nobody to feed them.
  if (absl::Status left = PacketPrograms::Detach(pin_dir_); !left.ok()) {
    status = absl::Status(status.code(), absl::StrCat(status.message(), "; and the kernel still delivers by what an earlier process left: ", left.message()));
  }
  lock_.reset();
  return status;
}

absl::Status PacketDelivery::Begin(const api::Packet& packet) {
  absl::StatusOr<std::unique_ptr<PacketPrograms>> programs = PacketPrograms::Load(packet, log_folder_);
  if (!programs.ok()) return programs.status();
  // Now, while there are the privileges for it; whoever asks for XDP is told if it was refused.
  (*programs)->LoadXdp().IgnoreError();
  auto thread = std::make_unique<Thread>(*std::move(programs));
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

void PacketDelivery::Leave() {
  thread_.reset();
  lock_.reset();
}

absl::Status PacketDelivery::Detach() {
  if (thread_ == nullptr) return absl::OkStatus();
  thread_.reset();
  const absl::Status status = PacketPrograms::Detach(pin_dir_);
  lock_.reset();
  return status;
}

absl::Status PacketDelivery::RemoveTraces(const std::string& pin_dir) {
  if (!PacketPrograms::AreThere(pin_dir)) return absl::OkStatus();
  const absl::StatusOr<UniqueFd> lock = Lock(pin_dir);
  if (!lock.ok()) return lock.status();
  return PacketPrograms::Detach(pin_dir);
}

}  // namespace ringway::dp
