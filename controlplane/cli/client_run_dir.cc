// Where the commands that talk to a `ringway up` look for its sockets.
#include <filesystem>
#include <iostream>
#include <system_error>

#include "controlplane/cli/commands.h"
#include "controlplane/config/load.h"
#include "controlplane/run_dir.h"

namespace ringway::cp {

std::string ClientRunDir(const std::string& run_dir, const std::string& config) {
  if (std::string named = NamedRunDir(run_dir); !named.empty()) return named;
  const auto loaded = LoadConfig(ChooseConfigFile(config));
  if (loaded.ok()) return ChooseRunDir("", loaded->config.run_dir);
  std::string usual = ChooseRunDir("", "");
  std::error_code ignored;
  if (!std::filesystem::exists(usual + "/control.sock", ignored)) {
    std::cerr << loaded.status().message() << "\nthe config file does not tell the run directory: trying " << usual << "\n";
  }
  return usual;
}

}  // namespace ringway::cp
