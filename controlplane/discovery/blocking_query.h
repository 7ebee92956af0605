// The client's rules of Consul's blocking queries, without any I/O (https://developer.hashicorp.com/consul/api-docs/features/blocking):
// what index to send, what to make of the one that comes back, and how often to ask.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace ringway::cp {

// Zero asks without blocking. An index that went backwards says that the server's history is another one (restored, or a
// server that lags): its answer is not believed, and the next question starts from zero.
class BlockingIndex {
 public:
  uint64_t next() const { return next_; }
  void Restart() { next_ = 0; }
  // False: backwards.
  bool Take(uint64_t got) {
    got = std::max<uint64_t>(1, got);  // zero would make the next question one that does not block
    const bool forward = got >= next_;
    next_ = forward ? got : 0;
    return forward;
  }

 private:
  uint64_t next_ = 0;
};

// A bound on how often a watch may ask: bursts pass at once, a service that changes all the time is looked at ten times a
// second, and a server that answers at once without anything new (an index that spins) twice a second.
class AskBudget {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // To be called for each answer; how long to wait before the next question.
  std::chrono::milliseconds Spend(bool changed, Time now) {
    if (last_ != Time()) tokens_ = std::min(kTokensMax, tokens_ + std::chrono::duration<double>(now - last_).count() * kTokensPerSecond);
    last_ = now;
    tokens_ -= changed ? kChange : kNoChange;
    if (tokens_ >= 0) return std::chrono::milliseconds(0);
    return std::chrono::milliseconds(static_cast<int64_t>(-tokens_ / kTokensPerSecond * 1000) + 1);
  }

 private:
  static constexpr double kTokensPerSecond = 10;
  static constexpr double kTokensMax = 20;
  static constexpr double kChange = 1;
  static constexpr double kNoChange = 5;

  double tokens_ = kTokensMax;
  Time last_{};
};

}  // namespace ringway::cp
