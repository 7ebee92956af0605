// See up_lock.h.
#include "controlplane/cli/up_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace ringway::cp {

absl::StatusOr<UpLock> UpLock::Take(const std::string& run_dir) {
  const std::string path = run_dir + "/up.lock";
  UpLock lock;
  lock.file_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (lock.file_ < 0) return absl::PermissionDeniedError(path + ": wanted a writable run directory: " + std::strerror(errno));
  if (flock(lock.file_, LOCK_EX | LOCK_NB) == 0) {
    const std::string pid = std::to_string(getpid()) + "\n";
    if (ftruncate(lock.file_, 0) != 0 || pwrite(lock.file_, pid.data(), pid.size(), 0) < 0) {
      return absl::UnavailableError(path + ": cannot write: " + std::strerror(errno));
    }
    return lock;
  }
  if (errno != EWOULDBLOCK) return absl::UnavailableError(path + ": cannot lock: " + std::strerror(errno));
  char text[32] = "";
  const ssize_t size = pread(lock.file_, text, sizeof(text) - 1, 0);
  std::string pid(text, size > 0 ? static_cast<size_t>(size) : 0);
  while (!pid.empty() && pid.back() == '\n') pid.pop_back();
  return absl::AlreadyExistsError("another `ringway up`, process " + (pid.empty() ? "unknown" : pid) + ", runs in " + run_dir);
}

void UpLock::Release() {
  if (file_ >= 0) close(std::exchange(file_, -1));
}

}  // namespace ringway::cp
