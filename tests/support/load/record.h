// The record file: one line of tab-separated values for each request that has ended, so that a test can judge every single
// one. Written as requests end, complete once Close() was called. One thread.
//
//   id  intended  sent  ended  kind  new  races  status  failure  endpoint  retry_after  detail
//
// Times are Unix microseconds; `sent` is when the attempt that gave the outcome began; `new` is 1 for a connection of its own;
// an empty failure means well.
#pragma once

#include <chrono>
#include <fstream>
#include <string>

#include "tests/support/load/outcome.h"
#include "tests/support/load/workload.h"

namespace ringway::load {

class Recorder {
 public:
  // An empty path records nothing.
  explicit Recorder(const std::string& path);
  void Write(const Job& job, const Outcome& outcome);
  // False when not everything could be written.
  bool Close();

 private:
  int64_t UnixUs(std::chrono::steady_clock::time_point when) const;

  const bool on_;
  const int64_t unix_minus_steady_us_;
  std::ofstream file_;
};

}  // namespace ringway::load
