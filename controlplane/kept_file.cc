// See kept_file.h.
#include "controlplane/kept_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace ringway::cp {
namespace {

absl::Status Failed(const std::string& file, const char* what) {
  return absl::UnavailableError(file + ": cannot " + what + ": " + std::strerror(errno));
}

bool WriteAll(int out, const std::string& text) {
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = write(out, text.data() + written, text.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    written += static_cast<size_t>(count);
  }
  return true;
}

// The new name is on the disk only when its directory is (fsync(2)).
bool SyncDirectoryOf(const std::string& file) {
  const std::string parent = std::filesystem::path(file).parent_path().string();
  const int directory = open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  const bool synced = fsync(directory) == 0 || errno == EINVAL;  // EINVAL: a file system that cannot
  const int error = errno;
  close(directory);
  errno = error;
  return synced;
}

}  // namespace

absl::StatusOr<std::string> ReadKept(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream.is_open()) {
    return errno == ENOENT ? absl::NotFoundError(file + ": there is none") : Failed(file, "open");
  }
  std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (stream.bad()) return Failed(file, "read");
  return text;
}

absl::Status WriteKept(const std::string& file, const std::string& text, Durability durability) {
  const std::string draft = file + ".new";
  const int out = open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (out < 0) return Failed(draft, "create");
  const bool written = WriteAll(out, text) && (durability == Durability::kWhenever || fsync(out) == 0);
  const absl::Status status = written ? absl::OkStatus() : Failed(draft, "write");
  close(out);
  if (!status.ok()) return status;
  if (rename(draft.c_str(), file.c_str()) != 0) return Failed(file, "rename");
  if (durability == Durability::kOnDisk && !SyncDirectoryOf(file)) return Failed(file, "sync its directory");
  return absl::OkStatus();
}

}  // namespace ringway::cp
