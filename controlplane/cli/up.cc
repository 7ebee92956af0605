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
  absl::StatusOr<UpLock> lock = UpLock::Take(run_dir);
  const bool replaces = options.take_over && absl::IsAlreadyExists(lock.status());
  if (!lock.ok() && !replaces) {
    const bool other = absl::IsAlreadyExists(lock.status());
    spdlog::critical("{}{}", std::string(lock.status().message()),
                     other ? "; `ringway upgrade` renews it, --take-over replaces it, another --run-dir stands beside it" : "");
    return kExitCannotCreate;
  }
  if (replaces) spdlog::info("{}: taking over from it", std::string(lock.status().message()));
  ChildProgram control{.name = "ringway-controlplane", .arguments = {Beside("ringway-controlplane"), "--run-dir", run_dir}, .stop_wait = std::chrono::seconds(5)};
  if (!file.empty()) control.arguments.insert(control.arguments.end(), {"--config", file});
  // The dataplane has shutdown_timeout for what is in flight, and some time to close.
  const std::chrono::milliseconds stop_wait(loaded->config.shutdown_timeout_ms + 5000);
  ChildProgram data{.name = "ringway-dataplane", .arguments = {Beside("ringway-dataplane"), "--run-dir", run_dir}, .stop_wait = stop_wait, .tells = true};
  if (!options.state_dir.empty()) data.arguments.insert(data.arguments.end(), {"--state-dir", options.state_dir});
  if (options.workers != 0) data.arguments.insert(data.arguments.end(), {"--workers", std::to_string(options.workers)});
  if (!options.pin.empty()) data.arguments.insert(data.arguments.end(), {"--pin", options.pin});
  if (options.huge_pages) data.arguments.push_back("--huge-pages");
  for (const ChildProgram& program : {control, data}) {
    if (access(program.arguments[0].c_str(), X_OK) == 0) continue;
    spdlog::critical("wanted {} beside this program: {} is missing", program.name, program.arguments[0]);
    return kExitUnavailable;
  }
  UpPlan plan{.control = std::move(control), .data = std::move(data)};
  plan.run_dir = run_dir;
  if (!file.empty()) plan.config = std::filesystem::absolute(file).string();
  plan.upgrade_command = {Beside("ringway"), "upgrade", "--run-dir", run_dir};
  plan.replaces = replaces;
  return Supervisor(std::move(plan), replaces ? UpLock() : *std::move(lock)).Run();
}

}  // namespace ringway::cp
