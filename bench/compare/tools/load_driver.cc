#include "bench/compare/tools/load_driver.h"

#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace ringway::bench {
namespace {

constexpr uint64_t kSecondNs = 1000000000;
constexpr uint64_t kSweepNs = 50000000;
constexpr uint64_t kReopenNs = 10000000;     // after a failure
constexpr uint64_t kSkipFrom = 16 << 10;     // a rest of the body this long is dropped in the kernel
constexpr uint64_t kSkipMax = 1 << 30;
constexpr uint32_t kOpeningMax = 256;        // idle connections under way at once
constexpr uint32_t kChainMax = 3;
constexpr int kSendFlags = MSG_NOSIGNAL | MSG_WAITALL;
constexpr uint8_t kSilentLink = IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;

uint64_t CpuNs() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * kSecondNs + static_cast<uint64_t>(now.tv_nsec);
}

Failure OfConnect(int error) { return error == ECONNREFUSED ? Failure::kRefused : Failure::kConnect; }

Failure OfTransfer(int error) {
  if (error == ECONNREFUSED) return Failure::kRefused;  // a datagram's
  return error == ECONNRESET || error == EPIPE ? Failure::kReset : Failure::kOther;
}

}  // namespace

LoadDriver::LoadDriver(const LoadOptions& options)
    : options_(options),
      open_loop_(options.rate > 0),
      interval_ns_(open_loop_ ? 1e9 / options.rate : 0),
      pool_(ring_.AddPool(512, 32 << 10)),
      watch_(options.watch),
      connections_(options.connections + options.idle) {
  // Never touched: the kernel wants an address even where it copies nothing.
  nowhere_ = mmap(nullptr, kSkipMax, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (nowhere_ == MAP_FAILED) Die("mmap", errno);
  prctl(PR_SET_TIMERSLACK, 1);  // else a due request waits up to 50 us longer
  for (uint32_t i = options.connections; i < connections_.size(); ++i) connections_[i].idle = true;
}

LoadReport LoadDriver::Run() {
  const auto handler = [this](Tag tag, const io_uring_cqe& cqe) {
    if (now_ns_ == 0) now_ns_ = NowNs();
    OnCompleted(tag, cqe);
  };
  now_ns_ = NowNs();
  Advance();
  while (phase_ != Phase::kOver && !ring_.stopping()) {
    const uint64_t wake_ns = NextWakeNs();
    now_ns_ = 0;
    ring_.Turn(wake_ns, handler);
    if (now_ns_ == 0) now_ns_ = NowNs();
    Issue();
    Sweep();
    Advance();
  }
  if (phase_ == Phase::kMeasure) {  // a signal came
    end_ns_ = now_ns_;
    EndMeasuring();
  }
  return report_;
}

void LoadDriver::OnCompleted(Tag tag, const io_uring_cqe& cqe) {
  switch (tag.op) {
    case kConnect: return OnConnected(tag.slot, cqe.res);
    case kSend: return OnSendFailed(tag.slot, cqe.res);
    case kRecv: return OnReceived(tag.slot, cqe);
    case kSkip: return OnSkipped(tag.slot, cqe.res);
    default: return;
  }
}

// ---- the life of a connection

bool LoadDriver::MakeSocket(Connection& connection) {
  connection.fd = OpenSocket(options_.targets.front().family(), options_.udp);
  if (connection.fd < 0) return false;
  ++report_.connections_opened;
  if (!options_.new_connections || !options_.targets.front().loopback_v4()) return true;
  const int on = 1;
  setsockopt(connection.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);  // the port is chosen per connection, at connect
  sockaddr_in from{};
  from.sin_family = AF_INET;
  from.sin_addr.s_addr = htonl(0x7f000101 + next_source_++ % options_.sources);
  return bind(connection.fd, reinterpret_cast<sockaddr*>(&from), sizeof from) == 0;
}

void LoadDriver::Open(uint32_t index) {
  Connection& connection = connections_[index];
  if (!MakeSocket(connection)) return Failed(index, Failure::kConnect);
  connection.state = State::kConnecting;
  connection.sent_ns = now_ns_;
  const Address& target = TargetOf(index);
  io_uring_prep_connect(ring_.Sqe(Tag{kConnect, index}), connection.fd, target.get(), target.size);
}

void LoadDriver::OnConnected(uint32_t index, int32_t result) {
  Connection& connection = connections_[index];
  if (connection.state == State::kDropping) return CloseAndReopen(index, now_ns_ + kReopenNs);
  if (result < 0) return Failed(index, OfConnect(-result));
  Ready(index);
}

// Connected, with nothing under way.
void LoadDriver::Ready(uint32_t index) {
  Connection& connection = connections_[index];
  connection.state = State::kFree;
  if (connection.idle) {
    if (connection.begun_ns == 0) return Begin(index, now_ns_);
    ++idle_ready_;
  } else if (!open_loop_ && issuing()) {
    Begin(index, now_ns_);
  } else {
    free_.push_back(index);
  }
}

// A request on a free connection, or, with --new-connections, on one still to be made.
void LoadDriver::Begin(uint32_t index, uint64_t due_ns) {
  Connection& connection = connections_[index];
  connection.begun_ns = due_ns;
  connection.sent_ns = now_ns_;
  connection.received = 0;
  connection.reader.Start(options_.body_bytes);
  ++under_way_;
  const bool open = connection.state == State::kClosed;
  if (open && !MakeSocket(connection)) return Failed(index, Failure::kConnect);
  connection.state = State::kWaiting;
  ring_.Reserve(kChainMax);
  if (open) {
    io_uring_sqe* sqe = ring_.Sqe(Tag{kConnect, index});
    const Address& target = TargetOf(index);
    io_uring_prep_connect(sqe, connection.fd, target.get(), target.size);
    sqe->flags |= kSilentLink;
  }
  io_uring_sqe* sqe = ring_.Sqe(Tag{kSend, index});
  io_uring_prep_send(sqe, connection.fd, options_.request.data(), options_.request.size(), kSendFlags);
  sqe->flags |= kSilentLink;
  Receive(index);
}

void LoadDriver::Receive(uint32_t index) { ring_.Recv(connections_[index].fd, pool_, Tag{kRecv, index}, IORING_RECVSEND_POLL_FIRST); }

// A failed send takes the receive behind it along, without a completion of its own (io_uring_enter(2), IOSQE_CQE_SKIP_SUCCESS).
void LoadDriver::OnSendFailed(uint32_t index, int32_t result) {
  if (connections_[index].state == State::kDropping) return CloseAndReopen(index, now_ns_ + kReopenNs);
  Failed(index, OfTransfer(-result));
}

void LoadDriver::OnReceived(uint32_t index, const io_uring_cqe& cqe) {
  Connection& connection = connections_[index];
  const uint16_t id = BufferPool::IdOf(cqe);
  const bool has_buffer = (cqe.flags & IORING_CQE_F_BUFFER) != 0;
  if (has_buffer) pool_.Taken();
  if (connection.state == State::kDropping) {
    CloseAndReopen(index, now_ns_ + kReopenNs);
  } else if (cqe.res == -ENOBUFS) {
    Receive(index);
  } else if (cqe.res < 0) {
    Failed(index, OfTransfer(-cqe.res));
  } else if (cqe.res == 0) {
    OnPeerClosed(index);
  } else if (connection.state == State::kEnding) {
    Failed(index, Failure::kMalformed);
  } else {
    const auto size = static_cast<uint32_t>(cqe.res);
    if (phase_ == Phase::kMeasure) report_.bytes += size;
    Continue(index, options_.messages ? TakeMessage(connection, size) : connection.reader.Take(heads_, pool_.Data(id), size));
  }
  if (has_buffer) pool_.Return(id);
}

void LoadDriver::OnSkipped(uint32_t index, int32_t result) {
  Connection& connection = connections_[index];
  if (connection.state == State::kDropping) return CloseAndReopen(index, now_ns_ + kReopenNs);
  if (result < 0) return Failed(index, OfTransfer(-result));
  if (result == 0) return OnPeerClosed(index);
  const auto size = static_cast<uint32_t>(result);
  if (phase_ == Phase::kMeasure) report_.bytes += size;
  Continue(index, options_.messages ? TakeMessage(connection, size) : connection.reader.Skip(size));
}

ResponseReader::Result LoadDriver::TakeMessage(Connection& connection, uint32_t size) {
  connection.received += size;
  if (connection.received < options_.response_bytes) return ResponseReader::Result::kMore;
  return connection.received == options_.response_bytes ? ResponseReader::Result::kDone : ResponseReader::Result::kMalformed;
}

void LoadDriver::Continue(uint32_t index, ResponseReader::Result result) {
  Connection& connection = connections_[index];
  if (result == ResponseReader::Result::kDone) return Answered(index);
  if (result == ResponseReader::Result::kMalformed) return Failed(index, Failure::kMalformed);
  const uint64_t left = options_.messages ? options_.response_bytes - connection.received : connection.reader.to_skip();
  if (left < kSkipFrom) return Receive(index);
  io_uring_sqe* sqe = ring_.Sqe(Tag{kSkip, index});
  io_uring_prep_recv(sqe, connection.fd, nowhere_, std::min(left, kSkipMax), MSG_TRUNC);
  sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
}

void LoadDriver::OnPeerClosed(uint32_t index) {
  Connection& connection = connections_[index];
  if (connection.state == State::kEnding) return CloseAndReopen(index, now_ns_);
  if (!options_.messages && connection.reader.OnClosed()) {
    Judge(connection);
    return CloseAndReopen(index, now_ns_);
  }
  const bool begun = options_.messages ? connection.received > 0 : connection.reader.started();
  Failed(index, begun ? Failure::kLength : Failure::kClosed);
}

void LoadDriver::Answered(uint32_t index) {
  Connection& connection = connections_[index];
  Judge(connection);
  if (!options_.new_connections && (options_.messages || connection.reader.keep_alive())) return Ready(index);
  connection.state = State::kEnding;  // the peer closes
  Receive(index);
}

// A complete answer, as success or failure.
void LoadDriver::Judge(const Connection& connection) {
  --under_way_;
  if (!options_.messages && !connection.reader.status_ok()) return Fail(Failure::kStatus);
  if (!options_.messages && !connection.reader.length_ok()) return Fail(Failure::kLength);
  if (connection.idle) return;
  const uint64_t moment = open_loop_ ? connection.begun_ns : now_ns_;
  if (started_ && moment >= measure_ns_ && moment < end_ns_) report_.latency.Record(now_ns_ - connection.begun_ns);
  if (options_.requests > 0 && report_.latency.count() >= options_.requests) end_ns_ = std::min(end_ns_, now_ns_);
}

// With nothing of it under way any more.
void LoadDriver::Failed(uint32_t index, Failure failure) {
  Fail(failure);
  if (connections_[index].state == State::kWaiting) --under_way_;
  CloseAndReopen(index, now_ns_ + kReopenNs);
}

void LoadDriver::CloseAndReopen(uint32_t index, uint64_t at_ns) {
  Connection& connection = connections_[index];
  if (connection.idle && connection.state == State::kEnding) Fail(Failure::kIdleClosed);
  if (connection.fd >= 0) ring_.Close(connection.fd);
  connection.fd = -1;
  connection.state = State::kClosed;
  if (connection.idle) ++idle_ready_;  // it does not come again, and is not waited for
  else if (at_ns <= now_ns_) Reopen(index);
  else reopen_.push_back({at_ns, index});
}

void LoadDriver::Reopen(uint32_t index) {
  if (!options_.new_connections) {
    if (phase_ != Phase::kOver) Open(index);
  } else if (open_loop_) {
    free_.push_back(index);
  } else if (issuing()) {
    Begin(index, now_ns_);
  }
}

// ---- the course of a run

uint64_t LoadDriver::NextWakeNs() const {
  uint64_t wake = sweep_ns_;
  if (!reopen_.empty()) wake = std::min(wake, reopen_.front().first);
  if (!started_) return wake;
  if (phase_ == Phase::kPrepare) wake = std::min(wake, measure_ns_);
  if (phase_ == Phase::kMeasure) wake = std::min(wake, end_ns_);
  if (open_loop_ && !free_.empty()) wake = std::min(wake, DueNs(issued_));
  return wake;
}

void LoadDriver::Issue() {
  while (!reopen_.empty() && reopen_.front().first <= now_ns_) {
    const uint32_t index = reopen_.front().second;
    reopen_.pop_front();
    Reopen(index);
  }
  if (!open_loop_ || !started_) return;
  while (!free_.empty() && DueNs(issued_) <= now_ns_ && DueNs(issued_) < end_ns_) {
    const uint32_t index = free_.back();
    free_.pop_back();
    const uint64_t due_ns = DueNs(issued_++);
    if (was_free_ && due_ns >= measure_ns_) report_.late.Record(now_ns_ - due_ns);
    Begin(index, due_ns);
  }
  was_free_ = !free_.empty();
}

void LoadDriver::Sweep() {
  if (now_ns_ < sweep_ns_) return;
  sweep_ns_ = now_ns_ + kSweepNs;
  const auto timeout_ns = static_cast<uint64_t>(options_.timeout * kSecondNs);
  for (uint32_t index = 0; index < connections_.size(); ++index) {
    Connection& connection = connections_[index];
    const bool waits = connection.state == State::kWaiting || connection.state == State::kEnding || connection.state == State::kConnecting;
    if (!waits || now_ns_ < connection.sent_ns + timeout_ns) continue;
    Fail(Failure::kTimeout);
    if (connection.state == State::kWaiting) --under_way_;
    connection.state = State::kDropping;
    io_uring_sqe* sqe = ring_.Sqe(Tag{});
    io_uring_prep_cancel_fd(sqe, connection.fd, IORING_ASYNC_CANCEL_ALL);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  }
}

void LoadDriver::Advance() {
  const auto count = static_cast<uint32_t>(connections_.size());
  if (!started_) {
    for (; idle_begun_ < options_.idle && idle_begun_ < idle_ready_ + kOpeningMax; ++idle_begun_) Open(options_.connections + idle_begun_);
    if (idle_ready_ == options_.idle) Start();
  }
  if (!started_) return;
  if (phase_ == Phase::kPrepare && now_ns_ >= measure_ns_) {
    phase_ = Phase::kMeasure;
    cpu_at_measure_ns_ = CpuNs();
    if (!options_.watch.empty()) watch_.Begin();
  }
  if (phase_ == Phase::kMeasure && now_ns_ >= end_ns_) EndMeasuring();
  if (phase_ != Phase::kDrain) return;
  const bool all_sent = !open_loop_ || DueNs(issued_) >= end_ns_;
  const bool patient = now_ns_ < end_ns_ + static_cast<uint64_t>(options_.timeout * kSecondNs);
  if (patient && (under_way_ > 0 || !all_sent)) return;
  report_.failures[static_cast<size_t>(Failure::kTimeout)] += under_way_;
  for (; open_loop_ && DueNs(issued_) < end_ns_; ++issued_) Fail(Failure::kUnsent);
  for (uint32_t index = options_.connections; index < count; ++index) CheckIdle(connections_[index]);
  phase_ = Phase::kOver;
}

void LoadDriver::Start() {
  started_ = true;
  begun_ns_ = now_ns_;
  measure_ns_ = begun_ns_ + static_cast<uint64_t>(options_.warmup * kSecondNs);
  end_ns_ = measure_ns_ + static_cast<uint64_t>(options_.seconds * kSecondNs);
  for (uint32_t index = 0; index < options_.connections; ++index) Reopen(index);
}

void LoadDriver::EndMeasuring() {
  phase_ = Phase::kDrain;
  report_.cpu_ns = CpuNs() - cpu_at_measure_ns_;
  if (!options_.watch.empty()) {
    watch_.End();
    report_.watched = watch_.Json();
  }
  report_.seconds = static_cast<double>(end_ns_ - measure_ns_) / kSecondNs;
}

void LoadDriver::CheckIdle(const Connection& connection) {
  if (connection.state != State::kFree) return;
  char byte;
  const ssize_t got = recv(connection.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got >= 0 || errno != EAGAIN) Fail(Failure::kIdleClosed);
}

}  // namespace ringway::bench
