// Says what an operator must know of packet delivery's counters: new flows that are refused, tables that are full. The programs
// only count. A line when it begins, one a minute with the count while it goes on, and one when a minute was without it; and the
// words for the stats page. The delivery's own thread, once a second.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ringway::dp {

// As of now; counters are totals, of this process and those before it.
struct PacketLimits {
  struct Service {
    uint64_t refused = 0;
    bool ready = false;  // has an endpoint for new flows
  };
  std::map<std::string, Service> services;
  uint64_t no_port = 0;
  uint64_t table_full = 0;
  uint64_t half_open_displaced = 0;
  uint64_t half_open_entries = 0;  // at the last count
  uint64_t half_open_max = 0;
};

class PacketLimitLog {
 public:
  using Clock = std::chrono::steady_clock;

  // Lines to log now.
  std::vector<std::string> Tick(const PacketLimits& limits, Clock::time_point now);
  // What has happened within the last ten seconds; else empty.
  const std::string& trouble() const { return trouble_; }

 private:
  enum Kind { kNoEndpoint, kNoPort, kTableFull, kHalfOpen, kKinds };
  struct State {
    bool on = false;
    uint64_t count = 0;      // since it began
    uint64_t untold = 0;     // since the last line
    Clock::time_point at{};  // of the last line
    Clock::time_point last{};
  };
  // What came since `before_`, by kind; `names` are the services that refused.
  std::array<uint64_t, kKinds> Since(const PacketLimits& limits, std::array<std::string, kKinds>& names) const;
  std::string Line(Kind kind, uint64_t more, const std::string& names, Clock::time_point now);

  std::array<State, kKinds> states_{};
  PacketLimits before_;
  bool began_ = false;  // `before_` is known
  std::string trouble_;
};

}  // namespace ringway::dp
