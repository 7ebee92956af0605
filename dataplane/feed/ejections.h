// Endpoints that passive health keeps out. Each worker judges by what it sees and only counts; here the counters are added up,
// for reports, stats and the log: one line when the first worker ejects an endpoint, one when none keeps it out any more. A poll
// costs a few loads while nothing is ejected, and a look at each endpoint when a worker has ejected one. Main thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/api/feed.h"
#include "dataplane/core/worker_shared.h"
#include "dataplane/feed/directory.h"

namespace ringway::dp {

// The workers' clock (Io::NowUs): CLOCK_MONOTONIC, in microseconds.
uint64_t MonotonicNowUs();

struct EjectionState {
  uint32_t workers = 0;        // that keep it out now
  uint64_t remaining_us = 0;   // of the one that keeps it out longest
  uint64_t times = 0;          // ejections so far, all workers
  const char* reason = "";     // of that one, or of the one that ejected it last
  bool operator==(const EjectionState&) const = default;
};
EjectionState EjectionOf(EndpointHandle handle, const std::vector<const WorkerShared*>& workers, uint64_t now_us);

class EjectionWatch {
 public:
  // `directory` outlives the watch.
  EjectionWatch(const Directory& directory, std::vector<const WorkerShared*> workers)
      : directory_(directory), workers_(std::move(workers)) {}

  // Lines to log now: at most kLinesMax in kWindowUs, then one that says how many were left out.
  std::vector<std::string> Poll(uint64_t now_us);
  // Grows whenever Ejected() would say something new, time that passes aside.
  uint64_t changes() const { return changes_; }
  // Those of the snapshot that are ready but kept out by at least one worker.
  std::vector<api::Ejection> Ejected(uint64_t now_us) const;

  static constexpr uint32_t kLinesMax = 10;
  static constexpr uint64_t kWindowUs = 10'000'000;

 private:
  struct Watched {
    EjectionState state;
    uint64_t since_us = 0;
    uint64_t until_us = 0;
    bool shown = false;  // ready in the snapshot: part of Ejected()
  };
  void FindNew(uint64_t now_us);
  void Follow(uint64_t now_us, std::vector<std::string>& lines);
  bool Ready(EndpointHandle handle) const;
  void Say(std::string line, uint64_t now_us, std::vector<std::string>& lines);
  std::string EjectedLine(EndpointHandle handle, const EjectionState& state, bool again) const;
  std::string Name(EndpointHandle handle) const;

  const Directory& directory_;
  const std::vector<const WorkerShared*> workers_;
  std::map<EndpointHandle, Watched> watched_;  // kept out by some worker at the last poll
  uint64_t total_ = 0;       // ejections of all workers when last looked for new ones
  bool look_again_ = false;  // a worker may count an ejection a moment before it notes its end
  uint64_t changes_ = 0;
  uint64_t window_us_ = 0;   // when the current one began
  uint32_t said_ = 0;        // lines in it
  uint64_t unsaid_ = 0;      // left out in it
};

}  // namespace ringway::dp
