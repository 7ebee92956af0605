// Reads the access log's records of one simulated dataplane and judges them: one for each exchange that ended, no more and no
// less, and in sum what the counters say. Sometimes the ring is so small, and read so seldom, that records are dropped.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <vector>

#include "dataplane/core/worker.h"

namespace ringway::sim {

class AccessWatch {
 public:
  AccessWatch(dp::WorkerShared& shared, const dp::WorkerLimits& limits);

  // Before the worker gets it.
  void Know(const dp::BackendMap& map);
  // After a turn.
  void Read();
  // `listener_left`: what a session of a listener that is gone does is not logged.
  void CheckEnd(bool listener_left);
  uint64_t records() const { return records_; }

 private:
  struct Sums {
    uint64_t records = 0;
    uint64_t bytes_sent = 0;
    uint64_t bytes_received = 0;
    std::array<uint64_t, 6> statuses{};  // by class
  };
  void Judge(const dp::AccessRecord& record, const char* text) const;
  static uint64_t ExchangesOf(const dp::ListenerCounters& counters, bool tcp);

  const dp::CounterTable& counters_;
  const bool narrow_;
  std::vector<uint64_t> memory_;
  std::unique_ptr<dp::AccessNote[]> notes_;
  dp::AccessPort port_;
  uint32_t turns_ = 0;
  uint64_t records_ = 0;
  std::map<uint32_t, Sums> sums_;    // by listener
  std::map<uint32_t, bool> tcp_;     // by listener that logs
};

}  // namespace ringway::sim
