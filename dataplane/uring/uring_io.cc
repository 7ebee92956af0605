#include "dataplane/uring/uring_io.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/status/status.h"

namespace ringway::dp {
namespace {

static_assert(sizeof(Slice) == sizeof(iovec));
static_assert(offsetof(Slice, data) == offsetof(iovec, iov_base));
static_assert(offsetof(Slice, size) == offsetof(iovec, iov_len));

constexpr uint32_t kSmallBytes = 16 << 10;
constexpr uint32_t kLargeBytes = 256 << 10;
constexpr int kPipeBytes = 256 << 10;  // 64 places; over loopback each holds up to 32 KiB

std::string Explain(const char* call, int error) {
  std::string text = std::string(call) + ": " + std::strerror(error) + ". ";
  switch (error) {
    case EPERM:
      return text +
             "io_uring is refused here: by sysctl kernel.io_uring_disabled (wanted 0), or by a seccomp profile such as Docker's "
             "default one (run privileged, or with deploy/seccomp-ringway.json)";
    case ENOSYS:
      return text + "this kernel has no io_uring, or a seccomp profile hides it; wanted Linux 6.1 or newer";
    case EINVAL:
      return text + "this kernel's io_uring is too old; wanted Linux 6.1 or newer";
    case ENOMEM:
      return text + "not enough locked memory; raise RLIMIT_MEMLOCK (ulimit -l)";
    case EMFILE:
    case ENFILE:
      return text + "no descriptor left; raise RLIMIT_NOFILE (ulimit -n)";
    default:
      return text;
  }
}

absl::Status Error(const char* call, int error) { return absl::UnavailableError(Explain(call, error)); }

socklen_t ToSockaddr(const IpAddress& address, sockaddr_storage& out) {
  std::memset(&out, 0, sizeof out);
  if (address.v6) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    std::memcpy(&v6->sin6_addr, address.bytes.data(), 16);
    return sizeof *v6;
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(address.port);
  std::memcpy(&v4->sin_addr, address.bytes.data(), 4);
  return sizeof *v4;
}

// By a seccomp profile (EPERM, ENOSYS, as it says), a security module, or because such a socket cannot be spliced. None of
// these comes from a network.
bool SpliceRefused(int error) {
  return error == EINVAL || error == EPERM || error == EACCES || error == ENOSYS || error == EOPNOTSUPP;
}

}  // namespace

absl::Status UringIo::Init(const UringOptions& options) {
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  params.cq_entries = options.completions;
  int error = io_uring_queue_init_params(options.submissions, &ring_, &params);
  if (error < 0) return Error("io_uring_setup", -error);
  ready_ = true;
  io_uring_register_ring_fd(&ring_);  // saves a descriptor look-up a turn; works without
  headers_ = std::make_unique<msghdr[]>(params.sq_entries);
  addresses_ = std::make_unique<sockaddr_storage[]>(params.sq_entries);
  absl::Status status = InitPool(Group::kSmall, options.buffers_small, kSmallBytes, options.huge_pages);
  if (status.ok()) status = InitPool(Group::kLarge, options.buffers_large, kLargeBytes, options.huge_pages);
  if (status.ok()) status = ProvideSmall();
  if (!status.ok()) return status;
  pipes_.resize(options.pipes_max);
  for (uint32_t id = options.pipes_max; id-- > 0;) pipes_free_.push_back(static_cast<uint16_t>(id));
  splices_ = TrySplice();
  wake_fd_ = eventfd(0, EFD_CLOEXEC);
  if (wake_fd_ < 0) return Error("eventfd", errno);
  ArmWake();
  SampleClock();
  return absl::OkStatus();
}

absl::Status UringIo::InitPool(Group group, uint32_t count, uint32_t buffer_size, bool huge_pages) {
  Pool& pool = PoolOf(group);
  pool.count = count;
  pool.buffer_size = buffer_size;
  pool.mapped = MapBuffers(size_t{count} * buffer_size, huge_pages);
  if (pool.mapped.data == nullptr) return Error("mmap of receive buffers", errno);
  pool.memory = pool.mapped.data;
  pool.reserve.reserve(count);
  for (uint32_t id = count; id-- > 0;) pool.reserve.push_back(static_cast<uint16_t>(id));
  return absl::OkStatus();
}

absl::Status UringIo::ProvideSmall() {
  Pool& pool = PoolOf(Group::kSmall);
  int error = 0;
  pool.ring = io_uring_setup_buf_ring(&ring_, pool.count, static_cast<int>(Group::kSmall), 0, &error);
  if (pool.ring == nullptr) return Error("io_uring_register(PBUF_RING)", -error);
  pool.ring_target = std::min(pool.count, kRingFirst);
  return absl::OkStatus();
}

UringIo::~UringIo() {
  Pool& small = PoolOf(Group::kSmall);
  if (small.ring != nullptr) io_uring_free_buf_ring(&ring_, small.ring, small.count, static_cast<int>(Group::kSmall));
  if (ready_) io_uring_queue_exit(&ring_);
  for (Pool& pool : pools_) {
    if (pool.memory != nullptr) munmap(pool.memory, pool.mapped.size);
  }
  for (Pipe& pipe : pipes_) ClosePipe(pipe);
  if (wake_fd_ >= 0) close(wake_fd_);
}

void UringIo::Wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then a wake-up is pending anyway.
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
}

void UringIo::ArmWake() {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_read(sqe, wake_fd_, &wake_value_, sizeof wake_value_, 0);
  sqe->user_data = kWakeTag;
}

void UringIo::SampleClock() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  now_us_ = static_cast<uint64_t>(now.tv_sec) * 1000000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

io_uring_sqe* UringIo::NextSqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  while (sqe == nullptr) {  // the queue is full: the kernel takes what is in it
    io_uring_submit(&ring_);
    sqe = io_uring_get_sqe(&ring_);
  }
  return sqe;
}

void UringIo::Submit(uint32_t timeout_ms) {
  Pool& pool = PoolOf(Group::kSmall);
  if (std::exchange(ran_out_, false) && !pool.reserve.empty()) pool.ring_target = std::min(pool.count, 2 * pool.ring_target);
  while (pool.in_ring < pool.ring_target && !pool.reserve.empty()) {
    const uint16_t id = pool.reserve.back();
    pool.reserve.pop_back();
    Provide(pool, id);
  }
  __kernel_timespec wait{};
  wait.tv_sec = timeout_ms / 1000;
  wait.tv_nsec = static_cast<long long>(timeout_ms % 1000) * 1000000;
  io_uring_cqe* cqe = nullptr;
  // ETIME, EINTR, and EBUSY or EAGAIN (completions to be taken first) all mean: look at what is there.
  io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &wait, nullptr);
  SampleClock();
}

void UringIo::Provide(Pool& pool, uint16_t id) {
  io_uring_buf_ring_add(pool.ring, pool.memory + size_t{pool.buffer_size} * id, pool.buffer_size, id,
                        io_uring_buf_ring_mask(pool.count), 0);
  io_uring_buf_ring_advance(pool.ring, 1);
  ++pool.in_ring;
}

void UringIo::ReturnBuffer(Group group, uint16_t id) {
  Pool& pool = PoolOf(group);
  if (group == Group::kSmall && pool.in_ring < pool.ring_target) Provide(pool, id);
  else pool.reserve.push_back(id);
}

uint16_t UringIo::TakeLarge() {
  Pool& pool = PoolOf(Group::kLarge);
  if (pool.reserve.empty()) return kNoBuffer;
  const uint16_t id = pool.reserve.back();
  pool.reserve.pop_back();
  return id;
}

int UringIo::OpenSocket(const IpAddress& address) {
  // O_NONBLOCK is for splice, which knows no MSG_DONTWAIT; the ring's receives and sends wait all the same (io_uring/net.c).
  const int fd = socket(address.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

bool UringIo::PeerOf(int fd, IpAddress& out) {
  sockaddr_storage peer;
  socklen_t size = sizeof peer;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return false;
  if (peer.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&peer);
    out.v6 = true;
    out.port = ntohs(v6->sin6_port);
    std::memcpy(out.bytes.data(), &v6->sin6_addr, 16);
    return true;
  }
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&peer);
  out.port = ntohs(v4->sin_port);
  std::memcpy(out.bytes.data(), &v4->sin_addr, 4);
  return true;
}

void UringIo::Accept(int fd, Tag tag) {
  // Accepted sockets inherit the delay setting. The listening one must wait: accept is where the ring heeds O_NONBLOCK.
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int flags = fcntl(fd, F_GETFL);
  if ((flags & O_NONBLOCK) != 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_multishot_accept(sqe, fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  sqe->user_data = tag.Pack();
}

void UringIo::Connect(int fd, const IpAddress& address, Tag tag) {
  io_uring_sqe* sqe = NextSqe();
  sockaddr_storage& target = addresses_[static_cast<size_t>(sqe - ring_.sq.sqes)];
  const socklen_t size = ToSockaddr(address, target);
  io_uring_prep_connect(sqe, fd, reinterpret_cast<sockaddr*>(&target), size);
  sqe->user_data = tag.Pack();
}

void UringIo::RecvSelect(int fd, Tag tag, bool many) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_recv(sqe, fd, nullptr, 0, 0);
  if (many) sqe->ioprio |= IORING_RECV_MULTISHOT;
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = static_cast<uint16_t>(Group::kSmall);
  sqe->user_data = tag.Pack();
}

// With MSG_MORE the last segment waits, for 200 ms at most, for what follows: here the FIN (tcp(7)).
void UringIo::Send(int fd, const Slice* slices, uint32_t count, Tag tag, bool end_follows) {
  io_uring_sqe* sqe = NextSqe();
  const int flags = MSG_NOSIGNAL | (end_follows ? MSG_MORE : 0);
  if (count == 1) {
    io_uring_prep_send(sqe, fd, slices->data, slices->size, flags);
  } else {
    msghdr& header = headers_[static_cast<size_t>(sqe - ring_.sq.sqes)];
    header = {};
    header.msg_iov = reinterpret_cast<iovec*>(const_cast<Slice*>(slices));
    header.msg_iovlen = count;
    io_uring_prep_sendmsg(sqe, fd, &header, static_cast<unsigned>(flags));
  }
  sqe->user_data = tag.Pack();
}

void UringIo::Poll(int fd, unsigned events, Tag tag) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_poll_add(sqe, fd, events);
  sqe->user_data = tag.Pack();
}

int32_t UringIo::ReceiveNow(int fd, char* data, uint32_t size) {
  const ssize_t got = recv(fd, data, size, MSG_DONTWAIT);
  return got < 0 ? -errno : static_cast<int32_t>(got);
}

int32_t UringIo::SendNow(int fd, const Slice* slices, uint32_t count, bool more_follows) {
  msghdr header{};
  header.msg_iov = reinterpret_cast<iovec*>(const_cast<Slice*>(slices));
  header.msg_iovlen = count;
  const ssize_t sent = sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL | (more_follows ? MSG_MORE : 0));
  return sent < 0 ? -errno : static_cast<int32_t>(sent);
}

int32_t UringIo::SpliceIn(int fd, uint16_t pipe, uint32_t size) {
  const ssize_t got = splice(fd, nullptr, pipes_[pipe].in, nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (got >= 0) return static_cast<int32_t>(got);
  return SpliceRefused(errno) ? -EOPNOTSUPP : -errno;
}

// SIGPIPE, which no flag keeps away here, is ignored by the process.
int32_t UringIo::SpliceOut(uint16_t id, int fd, uint32_t size) {
  Pipe& pipe = pipes_[id];
  if (!pipe.rest.empty()) return CopyOut(pipe, fd, size);
  const ssize_t sent = splice(pipe.out, nullptr, fd, nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (sent >= 0) return static_cast<int32_t>(sent);
  return SpliceRefused(errno) ? CopyOut(pipe, fd, size) : -errno;
}

// What went into a pipe before splice was refused still gets to its socket. Once per pipe at most, so it may allocate.
int32_t UringIo::CopyOut(Pipe& pipe, int fd, uint32_t size) {
  if (pipe.rest.empty()) {
    pipe.rest.resize(size);
    pipe.rest_at = 0;
    const ssize_t taken = read(pipe.out, pipe.rest.data(), size);
    pipe.rest.resize(taken > 0 ? static_cast<size_t>(taken) : 0);
    if (taken < 0) return -errno;
  }
  const Slice slice{pipe.rest.data() + pipe.rest_at, pipe.rest.size() - pipe.rest_at};
  const int32_t sent = SendNow(fd, &slice, 1, false);
  if (sent > 0) pipe.rest_at += static_cast<size_t>(sent);
  if (pipe.rest_at == pipe.rest.size()) pipe.rest = {};
  return sent;
}

bool UringIo::OpenPipe(Pipe& pipe) {
  int ends[2];
  if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return false;
  pipe.in = ends[1];
  pipe.out = ends[0];
  fcntl(pipe.in, F_SETPIPE_SZ, kPipeBytes);  // refused beyond pipe-user-pages-soft: smaller moves then
  return true;
}

void UringIo::ClosePipe(Pipe& pipe) {
  if (pipe.in < 0) return;
  close(pipe.in);
  close(pipe.out);
  pipe = {};
}

// From an empty socket: EAGAIN where it is allowed. A lack of descriptors says nothing about splice.
bool UringIo::TrySplice() {
  Pipe pipe;
  int ends[2];
  if (!OpenPipe(pipe)) return !SpliceRefused(errno);
  bool refused = false;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0) {
    refused = splice(ends[0], nullptr, pipe.in, nullptr, 1, SPLICE_F_NONBLOCK) < 0 && SpliceRefused(errno);
    close(ends[0]);
    close(ends[1]);
  }
  ClosePipe(pipe);
  return !refused;
}

int32_t UringIo::TakePipe() {
  if (pipes_free_.empty()) return -ENOBUFS;
  const uint16_t id = pipes_free_.back();
  if (pipes_[id].in < 0 && !OpenPipe(pipes_[id])) return -errno;
  pipes_free_.pop_back();
  return id;
}

void UringIo::ReturnPipe(uint16_t id, bool empty) {
  if (!empty) ClosePipe(pipes_[id]);
  pipes_free_.push_back(id);
}

void UringIo::Cancel(Tag tag) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_cancel64(sqe, tag.Pack(), 0);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe->user_data = Tag{}.Pack();
}

void UringIo::Shutdown(int fd) { shutdown(fd, SHUT_WR); }

void UringIo::Close(int fd) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_close(sqe, fd);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe->user_data = Tag{}.Pack();
}

void UringIo::Reset(int fd) {
  const linger hard{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  Close(fd);
}

}  // namespace ringway::dp
