// Accounts for every request, and prints it. One thread.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/load/outcome.h"
#include "tests/support/load/record.h"
#include "tests/support/load/workload.h"

namespace ringway::load {

class Report {
 public:
  Report(size_t samples_max, const std::string& record_path) : samples_max_(samples_max), recorder_(record_path) {}
  void Begin();
  void Issued(const Job& job);
  void Ended(const Job& job, const Outcome& outcome);

  // A server that closes an idle keep-alive connection: seen before the next request was sent, or (a race, the request
  // was sent again on a new connection) afterwards and before any byte of an answer.
  void ClosedWhileIdle() { ++closed_while_idle_; }
  void KeepAliveRace(const Job& job);
  void ConnectionOpened() { ++connections_opened_; }

  uint64_t issued() const { return issued_; }
  uint64_t failed() const { return failed_; }
  uint64_t ended() const { return ok_ + failed_; }

  std::string ProgressLine() const;  // one line of JSON, counts so far
  std::string Json() const;
  std::string Summary() const;  // for people
  bool CloseRecord() { return recorder_.Close(); }

 private:
  static constexpr std::chrono::milliseconds kStep{100};
  struct Sample {
    double seconds = 0;
    std::string what;
    Outcome outcome;
  };
  struct Failures {
    uint64_t count = 0;
    std::map<std::string, uint64_t> by_kind;
    std::vector<Sample> samples;
  };
  struct Endpoint {
    uint64_t requests = 0;
    int64_t first_unix_ms = 0;
    int64_t last_unix_ms = 0;
  };
  struct Step {
    uint64_t issued = 0;
    uint64_t ok = 0;
    uint64_t failed = 0;
    uint32_t latency_max_us = 0;
  };

  double Seconds() const;
  Step& StepNow();
  uint32_t Percentile(const std::vector<uint32_t>& sorted, double share) const;

  const size_t samples_max_;
  Recorder recorder_;
  std::chrono::steady_clock::time_point begin_;
  int64_t begin_unix_ms_ = 0;
  uint64_t issued_ = 0;
  uint64_t ok_ = 0;
  uint64_t failed_ = 0;
  uint64_t closed_while_idle_ = 0;
  uint64_t races_ = 0;
  uint64_t connections_opened_ = 0;
  uint64_t bytes_sent_ = 0;
  uint64_t bytes_received_ = 0;
  std::vector<Sample> race_samples_;
  std::array<uint64_t, kKinds> kinds_{};
  std::map<int, uint64_t> statuses_;
  std::map<std::string, Failures> failures_;
  std::map<std::string, Endpoint> endpoints_;
  std::vector<uint32_t> latencies_us_;  // of requests that ended well
  std::vector<Step> steps_;
};

}  // namespace ringway::load
