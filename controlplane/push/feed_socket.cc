// See feed_socket.h.
#include "controlplane/push/feed_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ringway::cp {

absl::StatusOr<RunDirLock> RunDirLock::Take(const std::string& run_dir) {
  const std::string path = run_dir + "/controlplane.lock";
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (file < 0) return absl::PermissionDeniedError(path + ": wanted a writable run directory: " + std::strerror(errno));
  if (flock(file, LOCK_EX | LOCK_NB) == 0) return RunDirLock(file);
  const int error = errno;
  close(file);
  if (error != EWOULDBLOCK) return absl::UnavailableError(path + ": cannot lock: " + std::strerror(error));
  return absl::AlreadyExistsError(run_dir + "/feed.sock is held by another control plane that is running; wanted one control plane a run directory (--run-dir)");
}

RunDirLock::RunDirLock(RunDirLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

RunDirLock::~RunDirLock() {
  if (file_ >= 0) close(file_);
}

absl::StatusOr<int> ListenUnix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": wanted a socket path of at most ", sizeof(address.sun_path) - 1, " bytes"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) return absl::UnavailableError(path + ": cannot make a socket: " + std::strerror(errno));
  unlink(path.c_str());
  const mode_t mask = umask(0117);  // the file is 0660 from its first moment on
  const bool bound = bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 && listen(listener, 64) == 0;
  const int error = errno;
  umask(mask);
  if (bound) return listener;
  close(listener);
  return absl::UnavailableError(path + ": cannot listen: " + std::strerror(error));
}

}  // namespace ringway::cp
