#include "bench/compare/tools/ring.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "bench/compare/tools/sockets.h"

namespace ringway::bench {
namespace {

constexpr uint32_t kSignalSlot = 1;

}  // namespace

BufferPool::BufferPool(io_uring& ring, uint16_t group, uint32_t count, uint32_t size, uint16_t first_id)
    : ring_(ring), group_(group), count_(count), size_(size), first_id_(first_id) {
  int error = 0;
  entries_ = io_uring_setup_buf_ring(&ring_, count, group, 0, &error);
  if (entries_ == nullptr) Die("io_uring_register(PBUF_RING)", -error);
  void* memory = mmap(nullptr, size_t{count} * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) Die("mmap of receive buffers", errno);
  memory_ = static_cast<char*>(memory);
  for (uint32_t id = count; id-- > 0;) reserve_.push_back(static_cast<uint16_t>(first_id + id));
}

BufferPool::~BufferPool() {
  io_uring_free_buf_ring(&ring_, entries_, count_, group_);
  munmap(memory_, size_t{count_} * size_);
}

void BufferPool::Refill() {
  int added = 0;
  for (; in_ring_ < kInRing && !reserve_.empty(); ++in_ring_, ++added) {
    const uint16_t id = reserve_.back();
    reserve_.pop_back();
    io_uring_buf_ring_add(entries_, Data(id), size_, id, io_uring_buf_ring_mask(count_), added);
  }
  if (added > 0) io_uring_buf_ring_advance(entries_, added);
}

Ring::Ring(uint32_t submissions, uint32_t completions) {
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  params.cq_entries = completions;
  const int error = io_uring_queue_init_params(submissions, &ring_, &params);
  if (error < 0) Die("io_uring_setup (wanted: Linux 6.1, kernel.io_uring_disabled=0, a seccomp profile that allows it)", -error);
  io_uring_register_ring_fd(&ring_);  // saves a descriptor look-up a turn; works without
  signals_ = SignalDescriptor();
  ArmSignals();
}

Ring::~Ring() {
  pools_.clear();
  io_uring_queue_exit(&ring_);
  close(signals_);
}

BufferPool& Ring::AddPool(uint32_t count, uint32_t size, uint16_t first_id) {
  pools_.push_back(std::make_unique<BufferPool>(ring_, static_cast<uint16_t>(pools_.size()), count, size, first_id));
  return *pools_.back();
}

void Ring::Accept(int fd, Tag tag) {
  io_uring_prep_multishot_accept(Sqe(tag), fd, nullptr, nullptr, SOCK_CLOEXEC);
}

void Ring::Close(int fd) {
  io_uring_sqe* sqe = Sqe(Tag{});
  io_uring_prep_close(sqe, fd);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void Ring::WaitUntil(uint64_t deadline_ns) {
  const uint64_t now = NowNs();
  if (deadline_ns <= now) {
    io_uring_submit_and_get_events(&ring_);
    return;
  }
  __kernel_timespec wait{};
  wait.tv_sec = static_cast<long long>((deadline_ns - now) / 1000000000);
  wait.tv_nsec = static_cast<long long>((deadline_ns - now) % 1000000000);
  io_uring_cqe* cqe = nullptr;
  // ETIME, EINTR and EBUSY (completions to be taken first) all mean: look at what is there.
  io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &wait, nullptr);
}

void Ring::ArmSignals() {
  io_uring_prep_read(Sqe(Tag{0, kSignalSlot}), signals_, &signal_, sizeof signal_, 0);
}

void Ring::OnOwn(const io_uring_cqe& cqe) {
  if (Tag::Unpack(cqe.user_data).slot == kSignalSlot && cqe.res > 0) stopping_ = true;
}

}  // namespace ringway::bench
