// ringway-null-proxy: the limit of what a proxy in userspace can do, to compare with. One thread, one ring, one connection to
// --to per client, bytes relayed both ways without a look at them. Nothing is parsed, counted, logged or timed out.
// A direction is: receive, then send what came, chained with the next receive, so that a turn costs one entry to the kernel and
// no completion of the send. What fills a small buffer is taken to be bulk and gets large ones.
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "bench/compare/tools/ring.h"
#include "bench/compare/tools/sockets.h"

namespace ringway::bench {
namespace {

struct Options {
  std::string listen, to;
  uint32_t buffer = 16 << 10;
  uint32_t buffer_large = 1 << 20;
};

Options ParseCommandLine(int argc, char** argv) {
  CLI::App app{"Relays every connection to one address, byte by byte, as cheaply as userspace can: the limit to compare a proxy with."};
  Options options;
  app.add_option("--listen", options.listen, "ADDRESS:PORT")->required()->check(CheckAddress);
  app.add_option("--to", options.to, "ADDRESS:PORT: where each connection is relayed to")->required()->check(CheckAddress);
  app.add_option("--buffer", options.buffer, "bytes of a receive buffer")->check(CLI::Range(256, 1 << 20));
  app.add_option("--buffer-large", options.buffer_large, "bytes of a receive buffer once a small one was filled")
      ->check(CLI::Range(4096, 16 << 20));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  return options;
}

// The slots of an operation are 2 * session + direction; direction 0 goes from the client to --to.
enum Op : uint8_t { kOwn, kAccept, kConnect, kRecv, kSend };

constexpr uint32_t kSessionsMax = 16000;  // two small buffers each, of the 32,768 that a ring can have
constexpr uint64_t kParkedNs = 1000000;

struct Direction {
  BufferPool* pool = nullptr;       // of the receive under way
  BufferPool* held_pool = nullptr;  // null: no buffer is held
  uint16_t held = 0;                // what is being sent
  bool ended = false;               // the source has closed
};

struct Session {
  int fd[2] = {-1, -1};  // client, endpoint
  uint32_t in_flight = 0;
  bool closing = false;
  Direction way[2];
};

class NullProxy {
 public:
  explicit NullProxy(const Options& options)
      : to_(ParseAddresses(options.to).front()),
        listener_(Listen(ParseAddresses(options.listen).front())),
        small_(ring_.AddPool(32768, options.buffer)),
        large_(ring_.AddPool(64, options.buffer_large)) {
    SetNoDelay(listener_);  // inherited by what is accepted
    sessions_.resize(kSessionsMax);
    for (uint32_t index = kSessionsMax; index-- > 0;) free_.push_back(index);
    ring_.Accept(listener_, Tag{kAccept, 0});
  }

  void Run() {
    const auto handler = [this](Tag tag, const io_uring_cqe& cqe) { OnCompleted(tag, cqe); };
    while (!ring_.stopping()) {
      if (parked_.empty()) {
        ring_.Turn(handler);
      } else {
        ring_.Turn(NowNs() + kParkedNs, handler);
        Unpark();
      }
    }
  }

 private:
  void OnCompleted(Tag tag, const io_uring_cqe& cqe) {
    switch (tag.op) {
      case kAccept: return OnAccepted(cqe);
      case kConnect: return OnConnected(tag.slot / 2, cqe.res);
      case kRecv: return OnReceived(tag.slot / 2, tag.slot % 2, cqe);
      case kSend: return OnSendFailed(tag.slot / 2);
      default: return;
    }
  }

  void OnAccepted(const io_uring_cqe& cqe) {
    if ((cqe.flags & IORING_CQE_F_MORE) == 0) ring_.Accept(listener_, Tag{kAccept, 0});
    if (cqe.res < 0) return;
    const int upstream = free_.empty() ? -1 : OpenSocket(to_.family());
    if (upstream < 0) {
      close(cqe.res);
      return;
    }
    const uint32_t index = free_.back();
    free_.pop_back();
    Session& session = sessions_[index];
    session.fd[0] = cqe.res;
    session.fd[1] = upstream;
    session.in_flight = 1;
    io_uring_prep_connect(ring_.Sqe(Tag{kConnect, 2 * index}), upstream, to_.get(), to_.size);
  }

  void OnConnected(uint32_t index, int32_t result) {
    --sessions_[index].in_flight;
    if (result < 0) return End(index);
    Receive(index, 0, small_);
    Receive(index, 1, small_);
  }

  void OnReceived(uint32_t index, uint32_t way, const io_uring_cqe& cqe) {
    Session& session = sessions_[index];
    Direction& direction = session.way[way];
    --session.in_flight;
    Release(direction);  // the send this receive was chained to is over
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
      direction.held_pool = direction.pool;
      direction.held = BufferPool::IdOf(cqe);
      direction.pool->Taken();
    }
    if (session.closing) return End(index);
    if (cqe.res > 0) return Relay(index, way, static_cast<uint32_t>(cqe.res));
    if (cqe.res == -ENOBUFS) return OnNoBuffer(index, way);
    if (cqe.res < 0) return End(index);
    direction.ended = true;
    shutdown(session.fd[1 - way], SHUT_WR);
    if (session.way[1 - way].ended) End(index);
  }

  // The send reports nothing unless it fails: the receive behind it in the chain begins when all has been sent.
  void Relay(uint32_t index, uint32_t way, uint32_t size) {
    Session& session = sessions_[index];
    Direction& direction = session.way[way];
    ring_.Reserve(2);
    io_uring_sqe* sqe = ring_.Sqe(Tag{kSend, 2 * index + way});
    io_uring_prep_send(sqe, session.fd[1 - way], direction.held_pool->Data(direction.held), size, MSG_NOSIGNAL | MSG_WAITALL);
    sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    const bool bulk = size == direction.held_pool->size() || (direction.held_pool == &large_ && size > small_.size());
    Receive(index, way, bulk ? large_ : small_);
  }

  void Receive(uint32_t index, uint32_t way, BufferPool& pool) {
    Session& session = sessions_[index];
    session.way[way].pool = &pool;
    ++session.in_flight;
    ring_.Recv(session.fd[way], pool, Tag{kRecv, 2 * index + way});
  }

  // A failed send takes the receive behind it along, without a completion of its own (io_uring_enter(2), IOSQE_CQE_SKIP_SUCCESS).
  void OnSendFailed(uint32_t index) {
    --sessions_[index].in_flight;
    End(index);
  }

  void OnNoBuffer(uint32_t index, uint32_t way) {
    if (sessions_[index].way[way].pool == &large_) return Receive(index, way, small_);
    ++sessions_[index].in_flight;  // the slot stays until Unpark
    parked_.push_back(2 * index + way);
  }

  void Unpark() {
    std::vector<uint32_t> parked;
    parked.swap(parked_);
    for (const uint32_t slot : parked) {
      --sessions_[slot / 2].in_flight;
      if (sessions_[slot / 2].closing) End(slot / 2);
      else Receive(slot / 2, slot % 2, small_);
    }
  }

  void Release(Direction& direction) {
    if (direction.held_pool == nullptr) return;
    direction.held_pool->Return(direction.held);
    direction.held_pool = nullptr;
  }

  // Again for each completion still to come; the last one frees the slot.
  void End(uint32_t index) {
    Session& session = sessions_[index];
    if (!session.closing) {
      session.closing = true;
      for (const int fd : session.fd) shutdown(fd, SHUT_RDWR);  // what is under way on it completes
    }
    if (session.in_flight > 0) return;
    for (const int fd : session.fd) ring_.Close(fd);
    for (Direction& direction : session.way) Release(direction);
    session = Session{};
    free_.push_back(index);
  }

  Ring ring_;
  const Address to_;
  const int listener_;
  BufferPool& small_;
  BufferPool& large_;
  std::vector<Session> sessions_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> parked_;  // slots that wait for a buffer
};

}  // namespace
}  // namespace ringway::bench

int main(int argc, char** argv) {
  using namespace ringway::bench;
  const Options options = ParseCommandLine(argc, argv);
  RaiseFileLimit();
  NullProxy(options).Run();
  return 0;
}
