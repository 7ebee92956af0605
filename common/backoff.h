// How long to wait before the next try: doubles from `first` up to `cap`. Pure; its owner keeps the clock.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace ringway {

class Backoff {
 public:
  using Duration = std::chrono::milliseconds;

  constexpr Backoff(Duration first, Duration cap) : first_(first), cap_(cap), next_(first) {}

  Duration Next() {
    const Duration now = next_;
    next_ = std::min(cap_, next_ * 2);
    return now;
  }
  void Reset() { next_ = first_; }

 private:
  Duration first_;
  Duration cap_;
  Duration next_;
};

// Between half of `wait` and all of it, so that many sidecars do not come back in step.
template <typename Random>
std::chrono::milliseconds WithJitter(std::chrono::milliseconds wait, Random& random) {
  if (wait.count() < 2) return wait;
  std::uniform_int_distribution<int64_t> share(wait.count() / 2, wait.count());
  return std::chrono::milliseconds(share(random));
}

}  // namespace ringway
