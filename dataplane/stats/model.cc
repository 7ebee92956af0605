// Sums and quantiles of the stats; see model.h.
#include "dataplane/stats/model.h"

#include <algorithm>
#include <numeric>

namespace ringway::dp {

namespace {

uint64_t CountOf(const std::vector<EndpointStats>& endpoints, const char* state) {
  uint64_t count = 0;
  for (const EndpointStats& endpoint : endpoints) count += endpoint.state == state ? 1 : 0;
  return count;
}

}  // namespace

uint64_t ServiceStats::Ready() const { return CountOf(endpoints, "ready"); }

uint64_t ServiceStats::Doubtful() const {
  return static_cast<uint64_t>(std::count_if(endpoints.begin(), endpoints.end(), [](const EndpointStats& e) { return e.state == "ready" && !e.reason.empty(); }));
}
uint64_t ServiceStats::Ejected() const { return CountOf(endpoints, "ejected"); }

uint64_t ServiceStats::Sum(uint64_t EndpointStats::*member) const {
  uint64_t sum = 0;
  for (const EndpointStats& endpoint : endpoints) sum += endpoint.*member;
  return sum;
}

uint64_t ServiceStats::LatencyCount() const {
  return std::accumulate(latency.begin(), latency.end(), uint64_t{0});
}

double ServiceStats::LatencyMeanMs() const {
  const uint64_t count = LatencyCount();
  return count == 0 ? 0 : static_cast<double>(latency_sum_us) / static_cast<double>(count) / 1000;
}

double ServiceStats::LatencyQuantileMs(double q) const {
  const double wanted = q * static_cast<double>(LatencyCount());
  double seen = 0;
  for (uint32_t b = 0; b < kLatencyBuckets; ++b) {
    const double in_bucket = static_cast<double>(latency[b]);
    if (in_bucket == 0) continue;
    if (seen + in_bucket >= wanted) {
      const double low = b == 0 ? 0 : static_cast<double>(uint64_t{1} << b);
      const double high = static_cast<double>(uint64_t{1} << (b + 1));
      return (low + (high - low) * (wanted - seen) / in_bucket) / 1000;
    }
    seen += in_bucket;
  }
  return 0;
}

uint64_t ListenerStats::RefusedSum() const {
  return std::accumulate(refused.begin(), refused.end(), uint64_t{0});
}

}  // namespace ringway::dp
