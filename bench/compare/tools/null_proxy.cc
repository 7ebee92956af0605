// ringway-null-proxy: the limit of what a proxy in userspace can do, to compare with. One thread, one ring, one connection to
// --to per client, bytes relayed both ways without a look at them. Nothing is parsed, counted, logged or timed out.
// Each direction has one receive armed for good (multishot), so that a message costs one send and nothing else to submit. What
// fills a buffer, or comes faster than the other side takes it, is bulk: its receive ends, and single receives into large
// buffers take turns with sends until a few short ones in a row. README.md has the measurements behind each choice.
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
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
  app.add_option("--buffer-large", options.buffer_large, "bytes of a receive buffer once one of --buffer was filled")
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

constexpr uint32_t kSessionsMax = 32768;
constexpr uint32_t kSmallBuffers = 4096;
constexpr uint32_t kLargeBuffers = 64;
constexpr uint32_t kWaitingMax = 8;     // buffers of a direction before its receive is stopped
constexpr uint32_t kShortMax = 4;       // short receives in a row that end bulk
constexpr uint64_t kParkedNs = 1000000;
constexpr uint32_t kNone = ~uint32_t{0};

struct Direction {
  uint32_t first = kNone, last = kNone;  // buffers received and not yet sent; the first is being sent
  uint16_t waiting = 0;                  // how many
  uint8_t shorts = 0;
  bool armed = false;    // a receive is under way
  bool bulk = false;     // the next receive is a single one into a large buffer
  bool sending = false;
  bool ended = false;    // the source has closed
  bool told = false;     // and so has the destination been told
};

struct Session {
  int fd[2] = {-1, -1};  // client, endpoint
  uint32_t in_flight = 0;
  bool closing = false;
  Direction way[2];
};

// Of each buffer, small ones first: the next of its direction's, and how much is in it.
struct Filled {
  uint32_t next;
  uint32_t size;
};

class NullProxy {
 public:
  explicit NullProxy(const Options& options)
      : to_(ParseAddresses(options.to).front()),
        listener_(Listen(ParseAddresses(options.listen).front())),
        small_(ring_.AddPool(kSmallBuffers, options.buffer)),
        large_(ring_.AddPool(kLargeBuffers, options.buffer_large, kSmallBuffers)),
        filled_(kSmallBuffers + kLargeBuffers),
        sessions_(kSessionsMax) {
    SetNoDelay(listener_);  // inherited by what is accepted
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
      case kSend: return OnSent(tag.slot / 2, tag.slot % 2, cqe.res);
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
    Receive(index, 0);
    Receive(index, 1);
  }

  void OnReceived(uint32_t index, uint32_t way, const io_uring_cqe& cqe) {
    Session& session = sessions_[index];
    Direction& direction = session.way[way];
    if ((cqe.flags & IORING_CQE_F_MORE) == 0) {
      direction.armed = false;
      --session.in_flight;
    }
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) Append(direction, BufferPool::IdOf(cqe), cqe.res);
    if (session.closing) return End(index);
    if (cqe.res > 0) {
      Choose(index, way, static_cast<uint32_t>(cqe.res));
    } else if (cqe.res == 0) {
      direction.ended = true;
    } else if (cqe.res == -ENOBUFS) {
      return Park(index, way);
    } else if (cqe.res != -ECANCELED) {
      return End(index);
    }
    Continue(index, way);
  }

  void OnSent(uint32_t index, uint32_t way, int32_t result) {
    Session& session = sessions_[index];
    Direction& direction = session.way[way];
    --session.in_flight;
    direction.sending = false;
    const uint32_t sent = direction.first;
    const bool whole = result >= 0 && static_cast<uint32_t>(result) == filled_[sent].size;
    RemoveFirst(direction);
    if (session.closing || !whole) return End(index);
    Continue(index, way);
  }

  // What this direction does next, whatever has just completed.
  void Continue(uint32_t index, uint32_t way) {
    Session& session = sessions_[index];
    Direction& direction = session.way[way];
    if (direction.sending) return;
    if (direction.waiting > 0) return Send(index, way);
    if (!direction.ended) {
      if (!direction.armed) Receive(index, way);
      return;
    }
    shutdown(session.fd[1 - way], SHUT_WR);
    direction.told = true;
    if (session.way[1 - way].told) End(index);
  }

  void Send(uint32_t index, uint32_t way) {
    Session& session = sessions_[index];
    Direction& direction = session.way[way];
    const auto id = static_cast<uint16_t>(direction.first);
    direction.sending = true;
    ++session.in_flight;
    io_uring_prep_send(ring_.Sqe(Tag{kSend, 2 * index + way}), session.fd[1 - way], PoolOf(id).Data(id), filled_[id].size,
                       MSG_NOSIGNAL | MSG_WAITALL);
  }

  void Receive(uint32_t index, uint32_t way) {
    Session& session = sessions_[index];
    Direction& direction = session.way[way];
    direction.armed = true;
    ++session.in_flight;
    ring_.Recv(session.fd[way], direction.bulk ? large_ : small_, Tag{kRecv, 2 * index + way}, direction.bulk ? 0 : IORING_RECV_MULTISHOT);
  }

  // Bulk or messages, by what came last.
  void Choose(uint32_t index, uint32_t way, uint32_t size) {
    Direction& direction = sessions_[index].way[way];
    if (!direction.bulk) {
      if (size < small_.size() && direction.waiting < kWaitingMax) return;
      direction.bulk = true;
      direction.shorts = 0;
      if (direction.armed) ring_.Cancel(Tag{kRecv, 2 * index + way});
    } else if (size >= small_.size()) {
      direction.shorts = 0;
    } else if (!direction.armed && ++direction.shorts >= kShortMax) {
      direction.bulk = false;
    }
  }

  void Park(uint32_t index, uint32_t way) {
    ++sessions_[index].in_flight;  // the slot stays until Unpark
    parked_.push_back(2 * index + way);
  }

  void Unpark() {
    std::vector<uint32_t> parked;
    parked.swap(parked_);
    for (const uint32_t slot : parked) {
      Session& session = sessions_[slot / 2];
      --session.in_flight;
      session.way[slot % 2].bulk = false;  // there are more small ones
      if (session.closing) End(slot / 2);
      else Continue(slot / 2, slot % 2);
    }
  }

  BufferPool& PoolOf(uint32_t id) { return id < kSmallBuffers ? small_ : large_; }

  void Append(Direction& direction, uint16_t id, int32_t size) {
    PoolOf(id).Taken();
    filled_[id] = {kNone, static_cast<uint32_t>(size)};
    if (direction.waiting++ == 0) direction.first = id;
    else filled_[direction.last].next = id;
    direction.last = id;
  }

  void RemoveFirst(Direction& direction) {
    const auto id = static_cast<uint16_t>(direction.first);
    direction.first = filled_[id].next;
    --direction.waiting;
    PoolOf(id).Return(id);
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
    for (Direction& direction : session.way) {
      while (direction.waiting > 0) RemoveFirst(direction);
    }
    session = Session{};
    free_.push_back(index);
  }

  Ring ring_;
  const Address to_;
  const int listener_;
  BufferPool& small_;
  BufferPool& large_;
  std::vector<Filled> filled_;
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
