// Where the sockets of this host's control plane and dataplane are, and what may go wrong with making that place.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace ringway::cp {

// `option` (--run-dir), else RINGWAY_RUN_DIR, else "": the config does not count where this is not empty.
std::string NamedRunDir(const std::string& option);

// The first that is not empty: `option` (--run-dir), RINGWAY_RUN_DIR, `configured` (run_dir in the config), /run/ringway.
std::string ChooseRunDir(const std::string& option, const std::string& configured);

// Creates the directory and its parents where they are missing (mode 0750 for the last).
absl::Status MakeDirectory(const std::string& path);

}  // namespace ringway::cp
