// How many retries one service may make in one worker, so that they cannot multiply an outage: a token bucket that is filled
// only when somebody asks, from what has gone by since the last time, so that requests that do not fail pay nothing for it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/core/backend_map.h"

namespace ringway::dp {

class RetryBudget {
 public:
  // Takes one retry out, if one is left. It begins with `burst` and never holds more, or a second's worth where that is more.
  // `requests_total` is the service's counter, which begins at zero with a new service.
  bool Spend(const ServiceEntry& service, uint64_t burst, uint64_t requests_total, uint64_t now_us) {
    if (service.retry_percent == 0 && service.retry_per_second_min == 0) return false;
    const uint64_t most = std::max<uint64_t>(burst, service.retry_per_second_min) * kRetry;
    if (begun_ && requests_total >= requests_) {
      const uint64_t us = std::min<uint64_t>(now_us - us_, most);  // more cannot matter
      const uint64_t requests = std::min<uint64_t>(requests_total - requests_, most);
      left_ = std::min(most, left_ + us * service.retry_per_second_min + requests * service.retry_percent * (kRetry / 100));
    } else {
      left_ = most;
    }
    begun_ = true;
    requests_ = requests_total;
    us_ = now_us;
    if (left_ < kRetry) return false;
    left_ -= kRetry;
    return true;
  }

 private:
  static constexpr uint64_t kRetry = 1000000;  // units: what one per second earns in a microsecond
  uint64_t left_ = 0;
  uint64_t requests_ = 0;
  uint64_t us_ = 0;
  bool begun_ = false;
};

}  // namespace ringway::dp
