// The ring the three tools run on: one thread, the dataplane's settings (dataplane/uring/uring_io.h), and nothing between the
// completion and the tool. A completion belongs to an operation and a slot; a slot is used again only when nothing of it is in
// flight, so no generation is needed. SIGINT and SIGTERM end Run. io_uring_setup(2), io_uring_register_buf_ring(3).
#pragma once

#include <liburing.h>
#include <sys/signalfd.h>
#include <time.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace ringway::bench {

inline uint64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

// Of the operation that completed: what the tool put in.
struct Tag {
  uint8_t op = 0;  // 0 is the ring's own
  uint32_t slot = 0;

  uint64_t Pack() const { return uint64_t{op} << 56 | slot; }
  static Tag Unpack(uint64_t word) { return {static_cast<uint8_t>(word >> 56), static_cast<uint32_t>(word)}; }
};

// Receive buffers the kernel picks from when bytes are there. The ones returned last are handed out first: they are in the cache.
class BufferPool {
 public:
  // `count` a power of two; their ids begin with `first_id`.
  BufferPool(io_uring& ring, uint16_t group, uint32_t count, uint32_t size, uint16_t first_id);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  uint16_t group() const { return group_; }
  uint32_t size() const { return size_; }
  char* Data(uint16_t id) { return memory_ + size_t{size_} * (id - first_id_); }
  void Return(uint16_t id) { reserve_.push_back(id); }
  static uint16_t IdOf(const io_uring_cqe& cqe) { return static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT); }
  // For each completion that has a buffer of this pool.
  void Taken() { --in_ring_; }
  // Before each submission: fills up what the kernel has to pick from.
  void Refill();

 private:
  static constexpr uint32_t kInRing = 256;

  io_uring& ring_;
  const uint16_t group_;
  const uint32_t count_;
  const uint32_t size_;
  const uint16_t first_id_;
  io_uring_buf_ring* entries_ = nullptr;
  char* memory_ = nullptr;
  uint32_t in_ring_ = 0;
  std::vector<uint16_t> reserve_;
};

class Ring {
 public:
  explicit Ring(uint32_t submissions = 4096, uint32_t completions = 32768);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Lives as long as the ring.
  BufferPool& AddPool(uint32_t count, uint32_t size, uint16_t first_id = 0);

  // `count` submissions that come in one piece with the next calls of Sqe: a chain must not be cut.
  void Reserve(uint32_t count) {
    if (io_uring_sq_space_left(&ring_) < count) io_uring_submit(&ring_);
  }
  io_uring_sqe* Sqe(Tag tag) {
    Reserve(1);
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    sqe->user_data = tag.Pack();
    return sqe;
  }

  // Into a buffer of `pool` that is bound when bytes are there: one receive, or with IORING_RECV_MULTISHOT one after the other
  // until it completes without IORING_CQE_F_MORE.
  void Recv(int fd, BufferPool& pool, Tag tag, uint16_t flags = 0) {
    io_uring_sqe* sqe = Sqe(tag);
    io_uring_prep_recv(sqe, fd, nullptr, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->ioprio |= flags;
    sqe->buf_group = pool.group();
  }
  // Ends the operation with this tag, which still completes. Silent, also when there is none.
  void Cancel(Tag tag) {
    io_uring_sqe* sqe = Sqe(Tag{});
    io_uring_prep_cancel64(sqe, tag.Pack(), 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  }
  void Accept(int fd, Tag tag);
  void Close(int fd);

  bool stopping() const { return stopping_; }
  void Stop() { stopping_ = true; }

  // Submits, waits for a completion and hands out all there are: handler(Tag, const io_uring_cqe&). With a deadline (of NowNs)
  // it comes back then at the latest, with one of 0 at once.
  template <class Handler>
  void Turn(Handler&& handler) {
    Refill();
    io_uring_submit_and_wait(&ring_, 1);
    HandOut(handler);
  }
  template <class Handler>
  void Turn(uint64_t deadline_ns, Handler&& handler) {
    Refill();
    WaitUntil(deadline_ns);
    HandOut(handler);
  }

 private:
  void Refill() {
    for (auto& pool : pools_) pool->Refill();
  }
  void WaitUntil(uint64_t deadline_ns);
  void ArmSignals();

  template <class Handler>
  void HandOut(Handler&& handler) {
    unsigned head, seen = 0;
    io_uring_cqe* cqe;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      ++seen;
      const Tag tag = Tag::Unpack(cqe->user_data);
      if (tag.op == 0) OnOwn(*cqe);
      else handler(tag, *cqe);
    }
    io_uring_cq_advance(&ring_, seen);
  }
  void OnOwn(const io_uring_cqe& cqe);

  io_uring ring_{};
  bool stopping_ = false;
  int signals_ = -1;
  signalfd_siginfo signal_{};
  std::vector<std::unique_ptr<BufferPool>> pools_;
};

}  // namespace ringway::bench
