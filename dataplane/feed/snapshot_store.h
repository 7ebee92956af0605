// The last good snapshot on disk: what a dataplane starts from when no control plane is there. Written whole to a temporary
// file (of this process: during a handover two dataplanes share the folder), synced and renamed, at most once a second, on a
// thread of its own; the newest of several wins.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/api/feed.h"

namespace ringway::dp {

struct StoredSnapshot {
  std::shared_ptr<const api::Snapshot> snapshot;
  std::chrono::system_clock::time_point written_at;
};

// NotFound when there is none; InvalidArgument when it cannot be understood.
absl::StatusOr<StoredSnapshot> ReadSnapshotFile(const std::string& path);
// Atomic: after a crash there is the old file or the new one. Mode 0600, it holds the stats password.
absl::Status WriteSnapshotFile(const std::string& path, const api::Snapshot& snapshot);

class SnapshotStore {
 public:
  SnapshotStore(boost::asio::io_context& io, std::string path);
  ~SnapshotStore();  // writes what is still waiting

  // As ReadSnapshotFile; a file that cannot be understood is moved aside to PATH.bad.
  absl::StatusOr<StoredSnapshot> Load();
  // Returns at once. Trouble is logged when it begins and when it ends.
  void Save(std::shared_ptr<const api::Snapshot> snapshot);
  // For good: what waits is dropped, and when this returns nothing of ours is written any more. The file is the successor's.
  void Stop();

 private:
  void Write(std::shared_ptr<const api::Snapshot> snapshot);

  const std::string path_;
  std::shared_ptr<const api::Snapshot> waiting_;  // main thread
  bool timer_runs_ = false;                       // main thread
  bool stopped_ = false;                          // main thread
  boost::asio::steady_timer timer_;
  bool failing_ = false;  // writer thread
  boost::asio::thread_pool writer_{1};
};

}  // namespace ringway::dp
