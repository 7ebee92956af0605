// Consul's StatusHandler (agent/checks/check.go): counters that start full, so the first result counts at once.
#include "sidecar/checks/check.h"

namespace ringway::sidecar {

CheckStatus Threshold::Take(CheckStatus result) {
  const bool failed = result == CheckStatus::kCritical;
  const bool failed_before = last_ == CheckStatus::kCritical;
  in_a_row_ = !first_ && failed == failed_before ? in_a_row_ + 1 : 1;
  last_ = result;
  const int needed = failed ? failures_needed_ : successes_needed_;
  if (first_ || in_a_row_ >= needed) shown_ = result;
  first_ = false;
  return shown_;
}

void Threshold::Reset() {
  first_ = true;
  in_a_row_ = 0;
}

}  // namespace ringway::sidecar
