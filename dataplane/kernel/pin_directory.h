// The one folder of a bpf file system under which a dataplane keeps what must outlive it: maps and links. Whatever is pinned
// is still in force when the process is gone; removing the folder removes every trace. Main thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/feed/listener_sockets.h"

namespace ringway::dp {

inline constexpr char kPinDirectory[] = "/sys/fs/bpf/ringway";

// At the process's start, while there is CAP_SYS_ADMIN for it: /sys/fs/bpf is mounted where it is there and is not. Where that fails,
// Open says why when something asks for it.
void MountBpfFs();

class PinDirectory {
 public:
  // Makes the folder (0700). Where /sys/fs/bpf is not a bpf file system yet it is mounted, if that is allowed.
  static absl::StatusOr<PinDirectory> Open(const std::string& path);
  // What Open would say when the process starts; makes and mounts nothing that stays. Any thread.
  static absl::Status Check(const std::string& path);

  std::string PathOf(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }
  // A descriptor of the pinned object; NotFound when there is none of that name.
  absl::StatusOr<UniqueFd> Get(const std::string& name) const;
  absl::Status Pin(int fd, const std::string& name) const;
  // Unpinning the last hold on a link detaches its program. Not there is fine.
  absl::Status Unpin(const std::string& name) const;
  std::vector<std::string> Names() const;

  // Everything in it, then the folder. Not there is fine.
  static absl::Status Remove(const std::string& path);

 private:
  explicit PinDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace ringway::dp
