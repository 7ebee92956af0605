// The access log: takes the records that the workers leave in their rings, makes lines of them and writes them, on a thread of its
// own that nobody waits for. What cannot be written is dropped, counted and said once; requests are served all the same.
// docs/reference/access_log.md.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/api/feed.h"
#include "dataplane/access_log/line.h"
#include "dataplane/access_log/log_file.h"
#include "dataplane/access_log/port_memory.h"
#include "dataplane/core/worker_shared.h"
#include "dataplane/feed/handle_names.h"

namespace ringway::dp {

// For stats.
struct AccessLogStatus {
  bool used = false;  // a listener logs
  std::string path;
  std::string trouble;  // why nothing is written just now, in words; else empty
  uint64_t written = 0;         // lines
  uint64_t written_bytes = 0;
  uint64_t dropped_ring = 0;    // a worker's ring was full: the thread was too slow
  uint64_t dropped_output = 0;  // the file could not be written, or its reader was too slow
};

class AccessLog {
 public:
  // `exchanges` is a worker's number of slots. All given outlives this.
  AccessLog(std::vector<WorkerShared*> workers, uint32_t exchanges, const HandleNames& names);
  // After Stop.
  ~AccessLog();

  // Main thread, before the workers get the snapshot. Memory and thread are made when a listener logs for the first time.
  void Configure(const api::Snapshot& snapshot);
  // The file is opened again: after a signal of logrotate's.
  void Reopen();
  // When the workers have ended: writes what there is, for at most this long, and ends the thread. False when that hangs in a
  // write to a disk that does not answer: then only _exit(2) is left.
  bool Stop(std::chrono::milliseconds limit);

  AccessLogStatus Status() const;

 private:
  struct Shared;  // with the thread
  const std::unique_ptr<Shared> shared_;
  const uint32_t exchanges_;
  bool failed_ = false;
  std::thread thread_;
};

}  // namespace ringway::dp
