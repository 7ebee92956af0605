// See run_dir.h.
#include "controlplane/run_dir.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace ringway::cp {

std::string ChooseRunDir(const std::string& option, const std::string& configured) {
  if (!option.empty()) return option;
  if (const char* named = std::getenv("RINGWAY_RUN_DIR"); named != nullptr && *named != '\0') return named;
  return configured.empty() ? "/run/ringway" : configured;
}

absl::Status MakeDirectory(const std::string& path) {
  std::error_code error;
  if (std::filesystem::create_directories(path, error)) {
    std::filesystem::permissions(path, std::filesystem::perms(0750), error);
  }
  if (!error && std::filesystem::is_directory(path, error)) return absl::OkStatus();
  return absl::PermissionDeniedError(path + ": wanted a directory, cannot make it: " + (error ? error.message() : "a file is in its place"));
}

}  // namespace ringway::cp
