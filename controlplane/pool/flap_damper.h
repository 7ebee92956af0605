// Damping of one endpoint that goes down again and again: pure, time is given. An endpoint's first fall costs nothing. Each
// further one within a minute of its return makes the next return wait, 2 s, then twice as long each time up to a maximum; each
// whole minute it stays in service takes one doubling back.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace ringway::cp {

class FlapDamper {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::milliseconds kWindow{60000};
  static constexpr std::chrono::milliseconds kFirstWait{2000};

  // It was well and is not any more. While it still waited this is no further fall: it never came back.
  void OnFell(Time now) {
    if (!returns_at_ || now < *returns_at_) return;
    const auto stable_windows = (now - *returns_at_) / kWindow;
    if (stable_windows == 0) {
      falls_ = std::min(falls_ + 1, kFallsMax);
    } else {
      falls_ -= std::min<int64_t>(falls_, stable_windows);
    }
  }

  // It is well again. How long it still has to wait for its return; `wait_max` zero: not at all.
  std::chrono::milliseconds OnRose(Time now, std::chrono::milliseconds wait_max) {
    std::chrono::milliseconds wait{0};
    if (falls_ > 0) wait = kFirstWait;
    int64_t doublings = 1;
    for (; doublings < falls_ && wait < wait_max; ++doublings) wait *= 2;
    falls_ = std::min(falls_, doublings);  // what goes beyond the maximum does not have to decay later
    wait = std::min(wait, wait_max);
    returns_at_ = now + wait;
    return wait;
  }

  // When it may get requests again; in the past when it may.
  Time returns_at() const { return returns_at_.value_or(Time::min()); }

 private:
  static constexpr int64_t kFallsMax = 32;

  int64_t falls_ = 0;  // further falls that count
  std::optional<Time> returns_at_;
};

}  // namespace ringway::cp
