// dataplane/core's Io over io_uring. One ring, made and used by one worker thread alone (SINGLE_ISSUER); only Wake() is for
// others. Its memory is fixed at creation: the ring, two pools of buffers, one message header per submission slot; pipes are
// opened when first needed. io_uring_setup(2), io_uring_register_buf_ring(3), splice(2).
#pragma once

#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "dataplane/core/io.h"
#include "dataplane/uring/buffer_memory.h"

namespace ringway::dp {

struct UringOptions {
  uint32_t submissions = 4096;        // power of two
  uint32_t completions = 32768;       // multishot accepts decouple completions from submissions
  uint32_t buffers_small = 1024;      // power of two; 16 KiB each: the largest head
  uint32_t buffers_large = 64;        // 256 KiB each: bulk whose framing has to be looked at
  bool huge_pages = false;            // for the buffers, where they are to be had
  uint32_t pipes_max = 64;            // two descriptors each; bulk that nobody looks at
};

class UringIo {
 public:
  UringIo() = default;
  // Before anything else, on the thread that will use it. The message names the call, the errno and the remedy (seccomp profile,
  // sysctl, kernel).
  absl::Status Init(const UringOptions& options);
  ~UringIo();
  UringIo(const UringIo&) = delete;
  UringIo& operator=(const UringIo&) = delete;

  // From any thread: ends the wait of the current or the next Turn.
  void Wake();

  // Whether the kernel, or a sandbox, lets this thread splice: found out by Init.
  bool splices() const { return splices_; }
  Pages pages() const { return pools_[0].mapped.pages; }
  uint64_t NowUs() const { return now_us_; }
  int OpenSocket(const IpAddress& address);
  bool PeerOf(int fd, IpAddress& out);
  bool SamplePath(int fd, PathSample& out);

  void Accept(int fd, Tag tag);
  void Connect(int fd, const IpAddress& address, Tag tag);
  void RecvSelect(int fd, Tag tag, bool many);
  void Send(int fd, const Slice* slices, uint32_t count, Tag tag, bool end_follows);
  void PollIn(int fd, Tag tag) { Poll(fd, POLLIN, tag); }
  void PollOut(int fd, Tag tag) { Poll(fd, POLLOUT, tag); }
  void Cancel(Tag tag);
  void Shutdown(int fd);
  void Close(int fd);
  void Reset(int fd);

  char* BufferData(Group group, uint16_t id) {
    Pool& pool = PoolOf(group);
    return pool.memory + size_t{pool.buffer_size} * id;
  }
  uint32_t BufferSize(Group group) const { return pools_[static_cast<size_t>(group)].buffer_size; }
  uint32_t BuffersFree(Group group) const {
    const Pool& pool = pools_[static_cast<size_t>(group)];
    return pool.in_ring + static_cast<uint32_t>(pool.reserve.size());
  }
  void ReturnBuffer(Group group, uint16_t id);
  uint16_t TakeLarge();

  int32_t ReceiveNow(int fd, char* data, uint32_t size);
  int32_t SendNow(int fd, const Slice* slices, uint32_t count, bool more_follows);
  int32_t SpliceIn(int fd, uint16_t pipe, uint32_t size);
  int32_t SpliceOut(uint16_t pipe, int fd, uint32_t size);
  int32_t TakePipe();
  void ReturnPipe(uint16_t id, bool empty);

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
        --PoolOf(Group::kSmall).in_ring;
      } else if (c.result == -ENOBUFS) {
        ran_out_ = true;
      }
      handler(c);
    }
    io_uring_cq_advance(&ring_, seen);
  }

 private:
  static constexpr uint64_t kWakeTag = ~uint64_t{0};
  static constexpr uint32_t kRingFirst = 256;  // small buffers the kernel gets at first; the rest stays aside, last returned first used

  struct Pool {
    io_uring_buf_ring* ring = nullptr;  // of the small ones
    BufferMemory mapped;
    char* memory = nullptr;
    uint32_t count = 0;
    uint32_t buffer_size = 0;
    uint32_t in_ring = 0;
    uint32_t ring_target = 0;  // doubled when the kernel ran out of them between two turns
    std::vector<uint16_t> reserve;
  };

  struct Pipe {
    int in = -1;  // opened when first taken
    int out = -1;
    std::string rest;  // bytes taken out again when splice was refused, of them [rest_at, end) unsent
    size_t rest_at = 0;
  };

  absl::Status InitPool(Group group, uint32_t count, uint32_t buffer_size, bool huge_pages);
  Pool& PoolOf(Group group) { return pools_[static_cast<size_t>(group)]; }
  absl::Status ProvideSmall();
  void Provide(Pool& pool, uint16_t id);
  void Poll(int fd, unsigned events, Tag tag);
  io_uring_sqe* NextSqe();
  void Submit(uint32_t timeout_ms);
  void ArmWake();
  void SampleClock();
  static bool TrySplice();
  static bool OpenPipe(Pipe& pipe);
  static void ClosePipe(Pipe& pipe);
  int32_t CopyOut(Pipe& pipe, int fd, uint32_t size);

  io_uring ring_{};
  bool ready_ = false;
  bool ran_out_ = false;  // of small buffers, in this turn
  bool splices_ = false;
  int wake_fd_ = -1;
  uint64_t wake_value_ = 0;
  uint64_t now_us_ = 0;
  std::array<Pool, kGroups> pools_;
  std::vector<Pipe> pipes_;
  std::vector<uint16_t> pipes_free_;
  // Headers and addresses live until the kernel has taken the submission (IORING_FEAT_SUBMIT_STABLE): one per slot.
  std::unique_ptr<msghdr[]> headers_;
  std::unique_ptr<sockaddr_storage[]> addresses_;
};

}  // namespace ringway::dp
