// The one source of chance in a simulated run: everything follows from the seed. SplitMix64 (Steele, Lea, Flood 2014).
#pragma once

#include <cstdint>

namespace ringway::sim {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint64_t Below(uint64_t n) { return n == 0 ? 0 : Next() % n; }
  uint64_t Between(uint64_t low, uint64_t high) { return low + Below(high - low + 1); }
  bool Percent(uint64_t percent) { return Below(100) < percent; }
  bool PerMille(uint64_t n) { return Below(1000) < n; }
  // Mostly small, now and then close to `high`.
  uint64_t Skewed(uint64_t low, uint64_t high) {
    const uint64_t span = high - low + 1;
    return Percent(60) ? low + Below(span / 16 + 1) : low + Below(span);
  }

 private:
  uint64_t state_;
};

}  // namespace ringway::sim
