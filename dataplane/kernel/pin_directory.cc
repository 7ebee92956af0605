// See pin_directory.h; bpf file system: https://docs.kernel.org/bpf/libbpf/libbpf_overview.html, mount(2).
#include "dataplane/kernel/pin_directory.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

#include "common/log/log.h"
#include "dataplane/kernel/bpf_error.h"

namespace ringway::dp {
namespace {

constexpr char kMountPoint[] = "/sys/fs/bpf";

bool IsBpfFs(const std::string& path) {
  struct statfs status {};
  return statfs(path.c_str(), &status) == 0 && static_cast<uint64_t>(status.f_type) == BPF_FS_MAGIC;
}

// The nearest folder above that is there.
std::string Existing(std::filesystem::path path) {
  std::error_code ignored;
  while (path.has_parent_path() && path != path.parent_path() && !std::filesystem::exists(path, ignored)) path = path.parent_path();
  return path.string();
}

bool Mount() { return mount("bpf", kMountPoint, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") == 0; }

void SayMounted() { spdlog::info("mounted a bpf file system at {}", kMountPoint); }

absl::Status NotMounted(int error) {
  return absl::PermissionDeniedError(std::string(kMountPoint) + " is not mounted and cannot be: " + std::strerror(error) +
                                     " (wanted CAP_SYS_ADMIN at the start, or mount -t bpf bpf /sys/fs/bpf before; in a container: a volume)");
}

bool IsBelowMountPoint(const std::string& path) { return path.rfind(kMountPoint, 0) == 0; }

absl::Status NoBpfFs(const std::string& path) { return absl::FailedPreconditionError(path + ": wanted a folder on a bpf file system (mount -t bpf bpf FOLDER)"); }

// In a mount namespace that ends with its only thread.
absl::Status TryMount() {
  int error = 0;
  std::thread([&error] {
    const bool mounted = unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 && Mount();
    error = mounted ? 0 : errno;
  }).join();
  return error == 0 ? absl::OkStatus() : NotMounted(error);
}

absl::Status WantBpfFs(const std::string& path) {
  if (IsBpfFs(Existing(path))) return absl::OkStatus();
  if (!IsBelowMountPoint(path)) return NoBpfFs(path);
  if (!Mount()) return NotMounted(errno);
  SayMounted();
  return absl::OkStatus();
}

}  // namespace

void MountBpfFs() {
  if (!IsBpfFs(kMountPoint) && Mount()) SayMounted();
}

absl::StatusOr<PinDirectory> PinDirectory::Open(const std::string& path) {
  if (absl::Status s = WantBpfFs(path); !s.ok()) return s;
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return BpfError(error.value(), path + ": cannot be made");
  if (chmod(path.c_str(), 0700) != 0) return BpfError(errno, path + ": mode 0700");
  return PinDirectory(path);
}

absl::Status PinDirectory::Check(const std::string& path) {
  const std::string there = Existing(path);
  if (!IsBpfFs(there)) return IsBelowMountPoint(path) ? TryMount() : NoBpfFs(path);
  if (faccessat(AT_FDCWD, there.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    return absl::PermissionDeniedError(there + ": this user can make nothing in it: " + std::strerror(errno));
  }
  struct stat status {};
  const bool ours = there != path || (stat(path.c_str(), &status) == 0 && chmod(path.c_str(), status.st_mode & 07777) == 0);
  return ours ? absl::OkStatus() : absl::PermissionDeniedError(path + " belongs to another user: " + std::strerror(errno));
}

absl::StatusOr<UniqueFd> PinDirectory::Get(const std::string& name) const {
  UniqueFd fd(bpf_obj_get(PathOf(name).c_str()));
  if (fd.get() < 0) return BpfError(errno, PathOf(name));
  return fd;
}

absl::Status PinDirectory::Pin(int fd, const std::string& name) const {
  if (bpf_obj_pin(fd, PathOf(name).c_str()) != 0) return BpfError(errno, PathOf(name) + ": cannot be pinned");
  return absl::OkStatus();
}

absl::Status PinDirectory::Unpin(const std::string& name) const {
  if (unlink(PathOf(name).c_str()) != 0 && errno != ENOENT) return BpfError(errno, PathOf(name) + ": cannot be unpinned");
  return absl::OkStatus();
}

std::vector<std::string> PinDirectory::Names() const {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(path_, ignored)) names.push_back(entry.path().filename().string());
  return names;
}

absl::Status PinDirectory::Remove(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  return error ? BpfError(error.value(), path + ": cannot be removed") : absl::OkStatus();
}

}  // namespace ringway::dp
