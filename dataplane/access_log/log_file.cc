// See log_file.h.
#include "dataplane/access_log/log_file.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ringway::dp {
namespace {

constexpr mode_t kMode = 0640;

// As much of `lines` as a pipe takes in one piece: whole lines of at most PIPE_BUF bytes, so that nobody else's end up within
// them (pipe(7)). A longer line goes in pieces.
std::string_view OnePiece(std::string_view lines) {
  if (lines.size() <= PIPE_BUF) return lines;
  const size_t end = lines.rfind('\n', PIPE_BUF - 1);
  return lines.substr(0, end == std::string_view::npos ? PIPE_BUF : end + 1);
}

}  // namespace

bool LogFile::Open() {
  if (open()) return true;
  error_.clear();
  // A FIFO that nobody reads is refused (ENXIO) instead of waited for: fifo(7).
  const int fd = path_ == "stdout" ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                                   : ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, kMode);
  struct stat status {};
  if (fd < 0 || fstat(fd, &status) != 0) {
    error_ = errno == ENXIO ? "nobody reads this FIFO" : std::strerror(errno);
    if (fd >= 0) close(fd);
    return false;
  }
  kind_ = S_ISREG(status.st_mode) ? Kind::kFile : S_ISSOCK(status.st_mode) ? Kind::kSocket : Kind::kPipe;
  fd_ = fd;
  return true;
}

void LogFile::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

bool LogFile::Moved() const {
  if (!open() || path_ == "stdout") return false;
  struct stat ours {}, there {};
  if (fstat(fd_, &ours) != 0) return true;
  return stat(path_.c_str(), &there) != 0 || there.st_dev != ours.st_dev || there.st_ino != ours.st_ino;
}

bool LogFile::Ready(int wait_ms) const {
  if (kind_ == Kind::kFile) return true;
  pollfd polled{fd_, POLLOUT, 0};
  return poll(&polled, 1, wait_ms) > 0;  // an error too: the write tells which
}

// Standard output may be shared and is left as it is, waiting writes included: a pipe that is ready takes PIPE_BUF bytes without
// waiting, a socket is told not to wait.
long LogFile::WriteSome(std::string_view lines) {
  if (kind_ == Kind::kFile) return write(fd_, lines.data(), lines.size());
  if (kind_ == Kind::kSocket) return send(fd_, lines.data(), lines.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  const std::string_view piece = OnePiece(lines);
  return write(fd_, piece.data(), piece.size());
}

size_t LogFile::Write(std::string_view lines, int wait_ms) {
  size_t written = 0;
  error_.clear();
  while (written < lines.size() && Ready(wait_ms)) {
    const long result = WriteSome(lines.substr(written));
    if (result >= 0) {
      written += static_cast<size_t>(result);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) break;
    error_ = std::strerror(errno);
    if (errno == EPIPE || errno == ECONNRESET) Close();
    break;
  }
  return written;
}

}  // namespace ringway::dp
