// Weighted round robin: shares are exact, turns are spread evenly.
#include "dataplane/feed/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace ringway::dp {
namespace {

TEST(Schedule, EqualWeightsNeedNone) {
  EXPECT_TRUE(MakeSchedule({}).empty());
  EXPECT_TRUE(MakeSchedule({7}).empty());
  EXPECT_TRUE(MakeSchedule({3, 3, 3}).empty());
}

TEST(Schedule, SmallWeightsComeInTheMiddleOfLargeOnes) {
  EXPECT_EQ(MakeSchedule({2, 1}), (std::vector<uint32_t>{0, 1, 0}));
  EXPECT_EQ(MakeSchedule({200, 100}), (std::vector<uint32_t>{0, 1, 0}));
  EXPECT_EQ(MakeSchedule({1, 4}), (std::vector<uint32_t>{1, 1, 0, 1, 1}));
}

TEST(Schedule, EachGetsItsShareAtEvenDistances) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    std::vector<uint32_t> weights(2 + random() % 20);
    for (uint32_t& w : weights) w = 1 + static_cast<uint32_t>(random() % 256);
    if (std::equal(weights.begin() + 1, weights.end(), weights.begin())) continue;
    uint32_t divisor = 0;
    for (const uint32_t w : weights) divisor = std::gcd(divisor, w);
    const std::vector<uint32_t> schedule = MakeSchedule(weights);
    for (uint32_t i = 0; i < weights.size(); ++i) {
      std::vector<size_t> at;
      for (size_t k = 0; k < schedule.size(); ++k) {
        if (schedule[k] == i) at.push_back(k);
      }
      ASSERT_EQ(at.size(), weights[i] / divisor);
      // Between two turns of i, another one of weight w comes at most ceil(w / weight of i) times.
      size_t others_max = 0;
      for (uint32_t j = 0; j < weights.size(); ++j) {
        if (j != i) others_max += (weights[j] + weights[i] - 1) / weights[i];
      }
      for (size_t k = 0; k < at.size(); ++k) {
        const size_t next = k + 1 < at.size() ? at[k + 1] : at[0] + schedule.size();
        ASSERT_LE(next - at[k] - 1, others_max) << i;
      }
    }
  }
}

TEST(Schedule, StaysBoundedAndForgetsNobody) {
  std::vector<uint32_t> weights(4096, 255);
  weights[0] = 1;
  const std::vector<uint32_t> schedule = MakeSchedule(weights);
  EXPECT_LE(schedule.size(), kScheduleMax);
  std::vector<bool> seen(weights.size());
  for (const uint32_t position : schedule) seen[position] = true;
  EXPECT_EQ(std::count(seen.begin(), seen.end(), false), 0);
}

}  // namespace
}  // namespace ringway::dp
