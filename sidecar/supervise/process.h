// Starts a process: own session, no controlling terminal, default signals, no inherited descriptors, dies with the sidecar.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace ringway::sidecar {

struct Credentials {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};
// `user`: a name or a numeric id of the container's user database.
absl::StatusOr<Credentials> FindUser(const std::string& user);

struct SpawnRequest {
  std::vector<std::string> argv;         // argv[0] is looked for in the PATH of `environment`
  std::vector<std::string> environment;  // the whole of it, KEY=VALUE
  std::string directory;
  std::optional<Credentials> credentials;
  int death_signal = 15;  // what the kernel sends it when the sidecar is killed; SIGTERM
  int stdin_fd = 0;  // what the process gets as 0, 1 and 2; the caller keeps and closes its own
  int stdout_fd = 1;
  int stderr_fd = 2;
};

// Returns when the new program runs (execve succeeded) or could not be started: NotFound (shells say 127), PermissionDenied
// (126), or Internal; the message names the step. Must be called on the thread that lives as long as the process:
// PR_SET_PDEATHSIG follows the thread (man 2 prctl).
absl::StatusOr<pid_t> Spawn(const SpawnRequest& request);

// The sidecar's environment with `extra` laid over it.
std::vector<std::string> EnvironmentWith(const std::vector<std::pair<std::string, std::string>>& extra);

}  // namespace ringway::sidecar
