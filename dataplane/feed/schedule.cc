// Weighted round robin, precomputed; see schedule.h.
#include "dataplane/feed/schedule.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <tuple>

namespace ringway::dp {
namespace {

std::vector<uint32_t> Reduced(std::vector<uint32_t> weights) {
  uint32_t divisor = 0;
  for (const uint32_t w : weights) divisor = std::gcd(divisor, w);
  uint64_t total = 0;
  for (uint32_t& w : weights) total += w /= std::max(divisor, 1u);
  if (total <= kScheduleMax) return weights;
  for (uint32_t& w : weights) {
    w = std::max<uint32_t>(1, static_cast<uint32_t>(uint64_t{w} * (kScheduleMax / 2) / total));
  }
  return weights;
}

}  // namespace

std::vector<uint32_t> MakeSchedule(const std::vector<uint32_t>& given) {
  if (given.empty() || std::equal(given.begin() + 1, given.end(), given.begin())) return {};
  const std::vector<uint32_t> weights = Reduced(given);
  // (time of the next turn, position, turn); the least time comes first, equal times in order of position.
  using Turn = std::tuple<double, uint32_t, uint32_t>;
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns;
  for (uint32_t i = 0; i < weights.size(); ++i) turns.emplace(0.5 / weights[i], i, 0);
  std::vector<uint32_t> schedule;
  while (!turns.empty()) {
    const auto [time, position, turn] = turns.top();
    turns.pop();
    schedule.push_back(position);
    if (turn + 1 < weights[position]) {
      turns.emplace((turn + 1.5) / weights[position], position, turn + 1);
    }
  }
  return schedule;
}

}  // namespace ringway::dp
