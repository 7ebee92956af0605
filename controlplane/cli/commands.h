// One function a subcommand of `ringway`. Each returns the exit code (exit_codes.h).
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace ringway::cp {

struct UpOptions {
  std::string config;
  std::string run_dir;
  std::string state_dir;
  unsigned workers = 0;  // 0: as many as usable CPUs
  std::string pin;       // as the dataplane's --pin
  bool huge_pages = false;
  bool take_over = false;  // replace a `ringway up` that runs in the same run directory
};
int Up(const UpOptions& options);

int Validate(const std::string& config);
int Capabilities();

// Where a `ringway up` with these options, "" for what was not given, has its sockets. A config file that is wrong is not the end:
// then it is the usual place, and stderr says so unless a control plane is there.
std::string ClientRunDir(const std::string& run_dir, const std::string& config);
// Asks the `ringway up` of this run directory, over RUN_DIR/up.sock, to change to the programs now on disk.
int Upgrade(const std::string& run_dir, const std::string& timeout);

// These talk to RUN_DIR/control.sock.
int ShowStatus(const std::string& run_dir, bool as_json);
int Reload(const std::string& run_dir);
int Drain(const std::string& run_dir, const std::string& service, const std::string& endpoint, const std::string& timeout);
int Undrain(const std::string& run_dir, const std::string& service, const std::string& endpoint);

// The status document as tables, for reading.
absl::StatusOr<std::string> FormatStatus(const std::string& json);

}  // namespace ringway::cp
