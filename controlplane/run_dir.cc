// See run_dir.h.
#include "controlplane/run_dir.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace ringway::cp {

std::string NamedRunDir(const std::string& option) {
  if (!option.empty()) return option;
  const char* named = std::getenv("RINGWAY_RUN_DIR");
  return named != nullptr ? named : "";
}

std::string ChooseRunDir(const std::string& option, const std::string& configured) {
  if (std::string named = NamedRunDir(option); !named.empty()) return named;
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
