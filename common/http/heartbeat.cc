// The held connection; see heartbeat.h.
#include "common/http/heartbeat.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"

namespace ringway::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr char kBeat = '\n';
// A peer that sends more than this at once is read on in the loop's next turn, after everybody else.
constexpr int kReadsMax = 4;

// Held by its coroutine and by the wait for bytes.
struct Line : std::enable_shared_from_this<Line> {
  Line(Socket s, HeartbeatTimes times)
      : socket(std::move(s)), tick(socket.get_executor()), clock(times, Clock::now()) {}

  Socket socket;
  asio::steady_timer tick;
  HeartbeatClock clock;
  HeartbeatClock::Time planned{};  // for when the tick is set
  bool closed = false;
  HeartbeatEnd end;

  // Reads what is there. False when the peer has closed.
  bool Drain() {
    char bytes[256];
    for (int i = 0; i < kReadsMax && !closed; ++i) {
      const ssize_t n = recv(socket.native_handle(), bytes, sizeof(bytes), MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) break;
      if (n > 0) {
        clock.OnBytes(Clock::now());
        continue;
      }
      closed = true;
      end.overslept = clock.Overslept(planned, Clock::now());
      end.why = n == 0 ? "closed" : absl::StrCat("broke: ", std::strerror(errno));
    }
    return !closed;
  }

  // One byte a turn of the peer's clock: when it does not fit, the peer has not read for long and will be found silent.
  void Beat() { std::ignore = send(socket.native_handle(), &kBeat, 1, MSG_DONTWAIT | MSG_NOSIGNAL); }

  void ArmRead() {
    socket.async_wait(asio::socket_base::wait_read, [self = shared_from_this()](const error_code& error) {
      if (error || self->closed) return;
      if (self->Drain()) {
        self->ArmRead();
      } else {
        self->tick.cancel();
      }
    });
  }

  void Close() {
    closed = true;
    error_code ignored;
    socket.close(ignored);
  }
};

// Closes also when its coroutine is destroyed: the wait for bytes holds the line, and must not hold it open.
struct Closer {
  const std::shared_ptr<Line> line;
  ~Closer() { line->Close(); }
};

}  // namespace

HeartbeatClock::Due HeartbeatClock::OnTick(Time planned, Time now) {
  if (Overslept(planned, now)) heard_ = now;
  if (now >= heard_ + times_.timeout) return Due::kDead;
  if (now < send_at_) return Due::kNothing;
  send_at_ = now + times_.interval;
  return Due::kSend;
}

asio::awaitable<HeartbeatEnd> HoldHeartbeat(Socket socket, HeartbeatTimes times, std::function<bool()> wanted) {
  const Closer closer{std::make_shared<Line>(std::move(socket), times)};
  Line& line = *closer.line;
  line.Beat();
  line.planned = line.clock.Next();
  line.ArmRead();
  for (;;) {
    line.tick.expires_at(line.planned);
    co_await line.tick.async_wait(kNoThrow);
    if (line.closed || !line.Drain()) co_return line.end;
    if (!wanted()) {
      line.end.kind = HeartbeatEnd::Kind::kUnwanted;
      co_return line.end;
    }
    const HeartbeatClock::Due due = line.clock.OnTick(line.planned, Clock::now());
    line.planned = line.clock.Next();
    if (due == HeartbeatClock::Due::kSend) line.Beat();
    if (due != HeartbeatClock::Due::kDead) continue;
    line.end.kind = HeartbeatEnd::Kind::kSilent;
    line.end.why = absl::StrCat("no heartbeat for ", static_cast<double>(times.timeout.count()) / 1000, " s");
    co_return line.end;
  }
}

}  // namespace ringway::http
