// See pin_directory.h; bpf file system: https://docs.kernel.org/bpf/libbpf/libbpf_overview.html, mount(2).
#include "dataplane/kernel/pin_directory.h"

#include <bpf/bpf.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

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

bool Mount() {
  if (mount("bpf", kMountPoint, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0) return false;
  spdlog::info("mounted a bpf file system at {}", kMountPoint);
  return true;
}

absl::Status WantBpfFs(const std::string& path) {
  if (IsBpfFs(Existing(path))) return absl::OkStatus();
  if (path.rfind(kMountPoint, 0) != 0) {
    return absl::FailedPreconditionError(path + ": wanted a folder on a bpf file system (mount -t bpf bpf FOLDER)");
  }
  if (!Mount()) {
    return BpfError(errno, std::string(kMountPoint) + " is not mounted and cannot be (mount -t bpf bpf /sys/fs/bpf; in a container: a volume, or CAP_SYS_ADMIN)");
  }
  return absl::OkStatus();
}

}  // namespace

void MountBpfFs() {
  if (!IsBpfFs(kMountPoint)) Mount();
}

absl::StatusOr<PinDirectory> PinDirectory::Open(const std::string& path) {
  if (absl::Status s = WantBpfFs(path); !s.ok()) return s;
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return BpfError(error.value(), path + ": cannot be made");
  if (chmod(path.c_str(), 0700) != 0) return BpfError(errno, path + ": mode 0700");
  return PinDirectory(path);
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
