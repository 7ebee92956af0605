// One `ringway up` a run directory: a lock on RUN_DIR/up.lock, which the kernel drops with its owner; in the file is the owner's
// process id.
#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace ringway::cp {

class UpLock {
 public:
  UpLock() = default;
  // AlreadyExists when another process holds it; the message names it.
  static absl::StatusOr<UpLock> Take(const std::string& run_dir);
  UpLock(UpLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  UpLock& operator=(UpLock&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~UpLock() { Release(); }
  void Release();
  bool held() const { return file_ >= 0; }

 private:
  int file_ = -1;
};

}  // namespace ringway::cp
