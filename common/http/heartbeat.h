// A connection that says "I am here": each side sends one byte every interval, for as long as both live. Used by the
// catalog and the sidecar for a lease (docs/reference/catalog_api.md, "Leases"). One io_context thread; a connection costs
// one coroutine and one timer, and wakes only for bytes and once an interval.
//
// A side that was stopped itself (SIGSTOP, a paused container or virtual machine) must not take the other's silence of that
// time for its death: pending bytes are read before a connection is judged, and a timer that fires late starts the wait anew.
#pragma once

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <string>

#include "common/http/server.h"

namespace ringway::http {

struct HeartbeatTimes {
  std::chrono::milliseconds interval{1000};  // between the bytes that we send
  std::chrono::milliseconds timeout{3000};   // without a byte of the peer's: it is taken for dead
};

// When what is due, on a clock that is passed in.
class HeartbeatClock {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class Due { kNothing, kSend, kDead };

  HeartbeatClock(HeartbeatTimes times, Time now) : times_(times), heard_(now), send_at_(now + times.interval) {}
  void OnBytes(Time now) { heard_ = now; }
  Time Next() const { return std::min(send_at_, heard_ + times_.timeout); }
  // `planned` is what Next() said: one that fires an interval late or more tells of a stop of our own.
  Due OnTick(Time planned, Time now);
  bool Overslept(Time planned, Time now) const { return now - planned >= times_.interval; }

 private:
  const HeartbeatTimes times_;
  Time heard_;
  Time send_at_;
};

struct HeartbeatEnd {
  enum class Kind { kClosed, kSilent, kUnwanted };
  Kind kind = Kind::kClosed;
  bool overslept = false;  // this process stood still before: a peer that lives may have given up waiting, and come back
  std::string why;  // "closed", "broke: REASON", "no heartbeat for 3 s"
};

// Holds `socket` until the peer closes it, falls silent, or `wanted` (asked once an interval) says false; then it is closed.
// What the peer sends is thrown away, a little at a time.
boost::asio::awaitable<HeartbeatEnd> HoldHeartbeat(Socket socket, HeartbeatTimes times, std::function<bool()> wanted);

}  // namespace ringway::http
