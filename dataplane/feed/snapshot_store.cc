// The last good snapshot on disk; see snapshot_store.h.
#include "dataplane/feed/snapshot_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/api/feed_json.h"
#include "common/log/log.h"
#include "common/privileges/privileges.h"
#include "dataplane/feed/listener_sockets.h"

namespace ringway::dp {
namespace {

constexpr std::chrono::seconds kWriteEvery{1};
constexpr const char* kTemporary = ".new.";  // and the pid
constexpr std::chrono::minutes kLeftOver{1};  // no write takes so long

absl::Status Failed(const std::string& path, const char* step) {
  return absl::UnavailableError(absl::StrCat("cannot ", step, " ", path, ": ", std::strerror(errno)));
}

absl::Status WriteAll(int fd, const std::string& path, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed(path, "write");
    text.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

// Temporary files of processes that were killed while they wrote.
void RemoveLeftOvers(const std::filesystem::path& path) {
  std::error_code error;
  const std::string begin = path.filename().string() + kTemporary;
  const auto old = std::filesystem::file_time_type::clock::now() - kLeftOver;
  for (const auto& entry : std::filesystem::directory_iterator(path.parent_path(), error)) {
    const bool ours = entry.path().filename().string().starts_with(begin);
    if (ours && entry.last_write_time(error) < old) std::filesystem::remove(entry.path(), error);
  }
}

}  // namespace

absl::StatusOr<StoredSnapshot> ReadSnapshotFile(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return absl::NotFoundError(absl::StrCat("no file ", path));
    return Failed(path, "read");
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Failed(path, "read");
  absl::StatusOr<api::Message> message = api::DecodeMessage(text.str());
  if (!message.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", message.status().message()));
  }
  auto* snapshot = std::get_if<api::Snapshot>(&*message);
  if (snapshot == nullptr) return absl::InvalidArgumentError(path + ": wanted a snapshot");
  StoredSnapshot stored;
  stored.snapshot = std::make_shared<const api::Snapshot>(std::move(*snapshot));
  stored.written_at = std::chrono::system_clock::from_time_t(info.st_mtime);
  return stored;
}

absl::Status WriteSnapshotFile(const std::string& path, const api::Snapshot& snapshot) {
  const std::string text = api::EncodeMessage(snapshot);
  const std::string temporary = absl::StrCat(path, kTemporary, getpid());
  {
    UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (fd.get() < 0) return Failed(temporary, "create");
    if (absl::Status s = WriteAll(fd.get(), temporary, text); !s.ok()) return s;
    if (fsync(fd.get()) != 0) return Failed(temporary, "sync");
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return Failed(path, "rename to");
  // The rename itself lives in the directory.
  const std::string folder = std::filesystem::path(path).parent_path().string();
  UniqueFd directory(open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || fsync(directory.get()) != 0) return Failed(folder, "sync");
  return absl::OkStatus();
}

SnapshotStore::SnapshotStore(boost::asio::io_context& io, std::string path)
    : path_(std::move(path)), timer_(io) {
  boost::asio::post(writer_, [] { KeepOnly(kFileCapabilities); });
}

SnapshotStore::~SnapshotStore() {
  if (waiting_ != nullptr) Write(std::move(waiting_));
  writer_.join();
}

absl::StatusOr<StoredSnapshot> SnapshotStore::Load() {
  RemoveLeftOvers(path_);
  absl::StatusOr<StoredSnapshot> stored = ReadSnapshotFile(path_);
  if (stored.status().code() != absl::StatusCode::kInvalidArgument) return stored;
  const std::string aside = path_ + ".bad";
  if (rename(path_.c_str(), aside.c_str()) != 0) return stored;
  return absl::InvalidArgumentError(absl::StrCat(stored.status().message(), " (moved to ", aside, ")"));
}

void SnapshotStore::Save(std::shared_ptr<const api::Snapshot> snapshot) {
  if (stopped_) return;
  if (timer_runs_) {
    waiting_ = std::move(snapshot);
    return;
  }
  Write(std::move(snapshot));
  timer_runs_ = true;
  timer_.expires_after(kWriteEvery);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    timer_runs_ = false;
    if (waiting_ != nullptr) Save(std::move(waiting_));
  });
}

void SnapshotStore::Stop() {
  stopped_ = true;
  waiting_.reset();
  timer_.cancel();
  writer_.join();
}

void SnapshotStore::Write(std::shared_ptr<const api::Snapshot> snapshot) {
  boost::asio::post(writer_, [this, snapshot = std::move(snapshot)] {
    const absl::Status status = WriteSnapshotFile(path_, *snapshot);
    if (!status.ok() && !failing_) {
      spdlog::error("the snapshot is not kept: {}", std::string(status.message()));
    }
    if (status.ok() && failing_) spdlog::info("the snapshot is kept again in {}", path_);
    failing_ = !status.ok();
  });
}

}  // namespace ringway::dp
