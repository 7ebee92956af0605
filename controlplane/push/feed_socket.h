// The feed's listening socket: a run directory belongs to one control plane at a time, told apart from a stale socket file by
// a lock that the kernel drops with its owner.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace ringway::cp {

// Owns the lock file of a run directory; unlocks when destroyed.
class RunDirLock {
 public:
  // AlreadyExists when another process holds it.
  static absl::StatusOr<RunDirLock> Take(const std::string& run_dir);
  RunDirLock(RunDirLock&& other) noexcept;
  RunDirLock& operator=(RunDirLock&&) = delete;
  ~RunDirLock();

 private:
  explicit RunDirLock(int file) : file_(file) {}
  int file_ = -1;
};

// A listening unix socket (mode 0660) at `path`, in place of whatever file was there. The file descriptor, non-blocking.
absl::StatusOr<int> ListenUnix(const std::string& path);

}  // namespace ringway::cp
