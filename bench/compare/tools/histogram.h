// Latencies in nanoseconds, counted in buckets whose width grows with the value: 128 to each power of two, as HdrHistogram has
// them. A percentile is the upper end of its bucket, so it is never too low, and at most 0.8 % too high; exact below 128 ns. The
// highest value and the mean are exact. (HdrHistogram_c is not packaged for Debian 12; this is the part of it that is needed.)
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

namespace ringway::bench {

class Histogram {
 public:
  void Record(uint64_t value) {
    ++counts_[IndexOf(value)];
    ++count_;
    sum_ += value;
    max_ = std::max(max_, value);
  }

  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }
  double mean() const { return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_); }

  // The value that `share` (0 to 1) of all are at or below; 0 when there are none.
  uint64_t Percentile(double share) const {
    const auto wanted = std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(share * static_cast<double>(count_))));
    uint64_t seen = 0;
    for (uint32_t index = 0; index < counts_.size(); ++index) {
      seen += counts_[index];
      if (seen >= wanted) return std::min(HighestOf(index), max_);
    }
    return max_;
  }

 private:
  static constexpr uint32_t kBits = 7;
  static constexpr uint32_t kSteps = 1u << kBits;  // to each power of two

  // Values below 2 * kSteps have a bucket each; above, the top kBits + 1 bits choose it.
  static uint32_t IndexOf(uint64_t value) {
    const uint32_t shift = static_cast<uint32_t>(std::bit_width(value | (2 * kSteps - 1))) - (kBits + 1);
    return shift * kSteps + static_cast<uint32_t>(value >> shift);
  }
  static uint64_t HighestOf(uint32_t index) {
    if (index < 2 * kSteps) return index;
    const uint32_t shift = index / kSteps - 1;
    return ((uint64_t{index % kSteps + kSteps} + 1) << shift) - 1;
  }

  std::vector<uint64_t> counts_ = std::vector<uint64_t>((64 - kBits) * kSteps + kSteps);
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t max_ = 0;
};

}  // namespace ringway::bench
