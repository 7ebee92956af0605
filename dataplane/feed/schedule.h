// Weighted round robin, precomputed: which position comes next is one lookup on the hot path.
#pragma once

#include <cstdint>
#include <vector>

namespace ringway::dp {

// A schedule is never longer than this: beyond, weights are scaled down and the lightest get a little more than their share.
inline constexpr uint32_t kScheduleMax = 65536;

// Each position as often as its weight (divided by the greatest common divisor), spread evenly over the round: the k-th turn
// of weight w stands at (k + 1/2) / w of the round. Empty when all weights are equal.
std::vector<uint32_t> MakeSchedule(const std::vector<uint32_t>& weights);

}  // namespace ringway::dp
