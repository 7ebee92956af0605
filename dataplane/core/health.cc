#include "dataplane/core/health.h"

namespace ringway::dp {

void Health::Eject(const ServiceEntry& service, uint64_t now_us, uint32_t random) {
  const uint64_t doubled = uint64_t{service.eject_ms} << std::min(level, 20u);
  const uint64_t us = std::min<uint64_t>(doubled, std::max(service.eject_ms, service.eject_max_ms)) * 1000;
  ++level;
  ejected_until_us = barred_until_us = now_us + us - random % (us / 8 + 1);
  Ramp(ejected_until_us, std::max(service.slow_start_ms, kProbationMsMin));
}

uint32_t Health::ShareAt(uint64_t now_us) const {
  if (now_us >= ramp_end_us) return kShareWhole;
  if (now_us <= ramp_begin_us) return kShareBegin;
  const uint64_t grown = (kShareWhole - kShareBegin) * (now_us - ramp_begin_us) / (ramp_end_us - ramp_begin_us);
  return kShareBegin + static_cast<uint32_t>(grown);
}

}  // namespace ringway::dp
