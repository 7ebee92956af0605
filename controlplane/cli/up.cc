// `ringway up` and `ringway validate`.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <system_error>

#include "common/log/log.h"
#include "controlplane/cli/commands.h"
#include "controlplane/cli/supervisor.h"
#include "controlplane/config/load.h"
#include "controlplane/exit_codes.h"
#include "controlplane/run_dir.h"

namespace ringway::cp {
namespace {

// The other programs stand beside this one.
std::string Beside(const char* name) {
  std::error_code error;
  return (std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / name).string();
}

}  // namespace

int Validate(const std::string& config) {
  const std::string file = ChooseConfigFile(config);
  const auto loaded = LoadConfig(file);
  if (!loaded.ok()) {
    std::cerr << loaded.status().message() << "\n";
    return kExitConfig;
  }
  for (const std::string& warning : loaded->warnings) std::cerr << "warning: " << warning << "\n";
  std::cout << "OK: " << loaded->config.file << ", " << loaded->config.listeners.size() << " listeners, " << loaded->config.services.size() << " services\n";
  return 0;
}

int Up(const UpOptions& options) {
  const std::string file = ChooseConfigFile(options.config);
  const auto loaded = LoadConfig(file);
  if (!loaded.ok()) {
    std::cerr << loaded.status().message() << "\n";
    return kExitConfig;
  }
  const std::string run_dir = ChooseRunDir(options.run_dir, loaded->config.run_dir);
  if (const absl::Status status = MakeDirectory(run_dir); !status.ok()) {
    spdlog::critical("{}", std::string(status.message()));
    return kExitCannotCreate;
  }
  ChildProgram control{.name = "ringway-controlplane", .arguments = {Beside("ringway-controlplane"), "--run-dir", run_dir}, .stop_wait = std::chrono::seconds(5)};
  if (!file.empty()) control.arguments.insert(control.arguments.end(), {"--config", file});
  // The dataplane has shutdown_timeout for what is in flight, and some time to close.
  const std::chrono::milliseconds stop_wait(loaded->config.shutdown_timeout_ms + 5000);
  ChildProgram data{.name = "ringway-dataplane", .arguments = {Beside("ringway-dataplane"), "--run-dir", run_dir}, .stop_wait = stop_wait};
  if (!options.state_dir.empty()) data.arguments.insert(data.arguments.end(), {"--state-dir", options.state_dir});
  if (options.workers != 0) data.arguments.insert(data.arguments.end(), {"--workers", std::to_string(options.workers)});
  for (const ChildProgram& program : {control, data}) {
    if (access(program.arguments[0].c_str(), X_OK) == 0) continue;
    spdlog::critical("wanted {} beside this program: {} is missing", program.name, program.arguments[0]);
    return kExitUnavailable;
  }
  return Supervisor({control, data}).Run();
}

}  // namespace ringway::cp
