// dataplane/core's Io over io_uring. One ring, made and used by one worker thread alone (SINGLE_ISSUER); only Wake() is for
// others. Its memory is fixed at creation: the ring, two pools of provided buffers, one message header per submission slot.
// io_uring_setup(2), io_uring_register_buf_ring(3).
#pragma once

#include <liburing.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/core/io.h"

namespace ringway::dp {

struct UringOptions {
  uint32_t submissions = 4096;        // power of two
  uint32_t completions = 32768;       // multishot accepts decouple completions from submissions
  uint32_t buffers_small = 1024;      // power of two; 16 KiB each: the largest head
  uint32_t buffers_large = 64;        // power of two; 256 KiB each: bulk
};

class UringIo {
 public:
  // On the thread that will use it. The message names the call, the errno and the remedy (seccomp profile, sysctl, kernel).
  static absl::StatusOr<std::unique_ptr<UringIo>> Create(const UringOptions& options);
  ~UringIo();
  UringIo(const UringIo&) = delete;
  UringIo& operator=(const UringIo&) = delete;

  // From any thread: ends the wait of the current or the next Turn.
  void Wake();

  uint64_t NowUs() const { return now_us_; }
  int OpenSocket(const IpAddress& address);
  bool PeerOf(int fd, IpAddress& out);

  void Accept(int fd, Tag tag);
  void Connect(int fd, const IpAddress& address, Tag tag);
  void RecvSelect(int fd, Group group, Tag tag);
  void RecvInto(int fd, char* data, uint32_t size, Tag tag);
  void Send(int fd, const Slice* slices, uint32_t count, Tag tag);
  void Cancel(Tag tag);
  void Shutdown(int fd);
  void Close(int fd);
  void Reset(int fd);

  char* BufferData(Group group, uint16_t id) {
    Pool& pool = PoolOf(group);
    return pool.memory + size_t{pool.buffer_size} * (id & ~kLargeBit);
  }
  uint32_t BufferSize(Group group) const { return pools_[static_cast<size_t>(group)].buffer_size; }
  uint32_t BuffersFree(Group group) const {
    const Pool& pool = pools_[static_cast<size_t>(group)];
    return pool.in_ring + static_cast<uint32_t>(pool.reserve.size());
  }
  void ReturnBuffer(Group group, uint16_t id);

  template <class Handler>
  void Turn(uint32_t timeout_ms, Handler&& handler) {
    Submit(timeout_ms);
    unsigned head, seen = 0;
    io_uring_cqe* cqe;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      ++seen;
      if (cqe->user_data == kWakeTag) {
        ArmWake();
        continue;
      }
      Completion c;
      c.tag = Tag::Unpack(cqe->user_data);
      c.result = cqe->res;
      c.more = (cqe->flags & IORING_CQE_F_MORE) != 0;
      if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
        c.buffer = static_cast<uint16_t>(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        --PoolOf((c.buffer & kLargeBit) != 0 ? Group::kLarge : Group::kSmall).in_ring;
      }
      handler(c);
    }
    io_uring_cq_advance(&ring_, seen);
  }

 private:
  static constexpr uint64_t kWakeTag = ~uint64_t{0};
  static constexpr uint16_t kLargeBit = 0x4000;  // in the ids of large buffers
  static constexpr uint32_t kRingTarget = 256;  // buffers the kernel gets; the rest stays aside, last returned first used

  struct Pool {
    io_uring_buf_ring* ring = nullptr;
    char* memory = nullptr;
    uint32_t count = 0;
    uint32_t buffer_size = 0;
    uint32_t in_ring = 0;
    std::vector<uint16_t> reserve;
  };

  UringIo() = default;
  absl::Status Init(const UringOptions& options);
  absl::Status InitPool(Group group, uint32_t count, uint32_t buffer_size);
  Pool& PoolOf(Group group) { return pools_[static_cast<size_t>(group)]; }
  void Provide(Pool& pool, uint16_t id);
  io_uring_sqe* NextSqe();
  void Submit(uint32_t timeout_ms);
  void ArmWake();
  void SampleClock();

  io_uring ring_{};
  bool ready_ = false;
  int wake_fd_ = -1;
  uint64_t wake_value_ = 0;
  uint64_t now_us_ = 0;
  std::array<Pool, kGroups> pools_;
  // Headers and addresses live until the kernel has taken the submission (IORING_FEAT_SUBMIT_STABLE): one per slot.
  std::unique_ptr<msghdr[]> headers_;
  std::unique_ptr<sockaddr_storage[]> addresses_;
};

}  // namespace ringway::dp
