// Rise and fall of one endpoint: pure counting. An endpoint starts up, so that a new one gets requests at once; until its
// first success one failure is enough to take it down, after that `fall` in a row are needed. Down, it needs `rise` in a row.
#pragma once

#include <cstdint>

namespace ringway::cp {

class Tally {
 public:
  Tally(uint32_t rise, uint32_t fall) : rise_(rise), fall_(fall) {}

  // Counts one result; true when the endpoint went up or down by it.
  bool Count(bool success) {
    if (success == up_) {
      run_ = 0;
      proven_ = proven_ || success;
      return false;
    }
    ++run_;
    const uint32_t needed = up_ ? (proven_ ? fall_ : 1) : rise_;
    if (run_ < needed) return false;
    up_ = success;
    proven_ = proven_ || success;
    run_ = 0;
    return true;
  }

  // It was down before this program began, and has to rise.
  void StartDown() { up_ = false; }
  // A reload may change the thresholds and keeps the rest.
  void SetThresholds(uint32_t rise, uint32_t fall) {
    rise_ = rise;
    fall_ = fall;
  }
  bool up() const { return up_; }

 private:
  uint32_t rise_;
  uint32_t fall_;
  bool up_ = true;
  bool proven_ = false;  // has succeeded at least once
  uint32_t run_ = 0;     // results in a row that disagree with `up_`
};

}  // namespace ringway::cp
