// The histogram beside a sorted list of the same values.
#include "bench/compare/tools/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace ringway::bench {
namespace {

TEST(Histogram, IsEmptyAtFirst) {
  Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.Percentile(.5), 0u);
  EXPECT_EQ(histogram.mean(), 0);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (uint64_t value = 0; value < 256; ++value) histogram.Record(value);
  for (uint64_t value = 0; value < 256; ++value) {
    EXPECT_EQ(histogram.Percentile(static_cast<double>(value + 1) / 256), value);
  }
  EXPECT_DOUBLE_EQ(histogram.mean(), 127.5);
}

TEST(Histogram, PercentilesAreNeverTooLowAndAtMostOnePartIn128TooHigh) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latencies(12, 2.5);
  Histogram histogram;
  std::vector<uint64_t> values;
  for (int i = 0; i < 100000; ++i) {
    values.push_back(static_cast<uint64_t>(latencies(random)));
    histogram.Record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double share : {.001, .1, .25, .5, .75, .9, .99, .999, .9999, 1.0}) {
    const uint64_t exact = values[static_cast<size_t>(std::ceil(share * 100000)) - 1];
    EXPECT_GE(histogram.Percentile(share), exact) << share;
    EXPECT_LE(histogram.Percentile(share), exact + exact / 128) << share;
  }
  EXPECT_EQ(histogram.Percentile(1), values.back());
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(Histogram, EveryPowerOfTwoAndItsNeighboursHaveTheirBucket) {
  for (int bit = 0; bit < 64; ++bit) {
    for (const int64_t off : {-1, 0, 1}) {
      const uint64_t value = (uint64_t{1} << bit) + static_cast<uint64_t>(off);
      Histogram histogram;
      histogram.Record(value);
      histogram.Record(~uint64_t{0});  // so that the highest value does not hide the bucket's end
      EXPECT_GE(histogram.Percentile(.5), value);
      EXPECT_LE(histogram.Percentile(.5) - value, value / 128);
    }
  }
}

}  // namespace
}  // namespace ringway::bench
