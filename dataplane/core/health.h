// Passive health of one endpoint as one worker sees it, and the ramp of one that joins or comes back. Cold: read and written
// when an endpoint fails, joins or is ramping, never for a plain choice (EndpointState::out_until_us sums it up).
// docs/adr/0004-passive-health-limits-and-holds.md.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/core/backend_map.h"

namespace ringway::dp {

// What an endpoint did in a row, in one word, so that a good answer is one plain store: failures, 5xx, and whether a good
// answer came since the last ejection.
class Streak {
 public:
  void Answered() { word_ = kAnswered; }
  void Clear() { word_ = 0; }
  void Failed() { word_ += (word_ & kCountMax) < kCountMax ? 1 : 0; }
  // It answers: what failed before does not count any more.
  void Answered5xx() {
    word_ &= ~kCountMax;
    word_ += five() < kFivesMax ? kFive : 0;
  }
  void ClearCounts() { word_ &= kAnswered; }
  uint32_t failures() const { return word_ & kCountMax; }
  uint32_t five() const { return word_ >> 16 & kFivesMax; }
  bool answered() const { return (word_ & kAnswered) != 0; }

 private:
  static constexpr uint32_t kCountMax = 0xffff;
  static constexpr uint32_t kFivesMax = 0x7fff;
  static constexpr uint32_t kFive = 1u << 16;
  static constexpr uint32_t kAnswered = 1u << 31;
  uint32_t word_ = 0;
};

struct Health {
  static constexpr uint32_t kCoolUs = 1000000;         // an endpoint that refused a connection is chosen last for this long
  static constexpr uint32_t kProbationMsMin = 5000;
  static constexpr uint32_t kShareWhole = 1024;
  static constexpr uint32_t kShareBegin = kShareWhole / 10;

  uint64_t barred_until_us = 0;   // cools or is ejected
  uint64_t ejected_until_us = 0;  // the last ejection's end
  uint64_t ramp_begin_us = 0;     // its share grows from here
  uint64_t ramp_end_us = 0;
  uint32_t level = 0;             // ejections in a row

  bool OnProbation(uint64_t now_us) const { return level > 0 && now_us < ramp_end_us; }
  uint64_t OutUntilUs() const { return std::max(barred_until_us, ramp_end_us); }

  void CoolOff(uint64_t now_us) { barred_until_us = std::max(barred_until_us, now_us + kCoolUs); }
  void Ramp(uint64_t begin_us, uint64_t ms) {
    ramp_begin_us = begin_us;
    ramp_end_us = begin_us + ms * 1000;
  }
  // For eject_ms, doubled per ejection in a row, less up to an eighth so that workers do not return to it in step; then
  // probation. `random` is any number.
  void Eject(const ServiceEntry& service, uint64_t now_us, uint32_t random);
  // Of kShareWhole: how much of its fair share it gets now.
  uint32_t ShareAt(uint64_t now_us) const;
};

}  // namespace ringway::dp
