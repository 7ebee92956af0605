// Tells what is measured from what is only needed to measure it: instructions while it is on, counted by callgrind where the
// program runs under it, and nanoseconds by the clock. One thread's.
#pragma once

#include <time.h>
#include <valgrind/callgrind.h>

#include <cstdint>

namespace ringway::bench {

class WorkMeter {
 public:
  void Start() {
    begun_ns_ = Now();
    CALLGRIND_TOGGLE_COLLECT;
  }
  void Stop() {
    CALLGRIND_TOGGLE_COLLECT;
    spent_ns_ += Now() - begun_ns_;
  }
  // What came before does not count.
  void Reset() {
    spent_ns_ = 0;
    CALLGRIND_ZERO_STATS;
  }
  // Writes callgrind's counts so far to a file of their own, marked with `name`.
  static void Dump(const char* name) { CALLGRIND_DUMP_STATS_AT(name); }
  uint64_t spent_ns() const { return spent_ns_; }

 private:
  static uint64_t Now() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
  }
  uint64_t begun_ns_ = 0;
  uint64_t spent_ns_ = 0;
};

}  // namespace ringway::bench
