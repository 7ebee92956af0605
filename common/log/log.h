// The process's log: spdlog to stderr, as text or as JSON lines. Cold threads only; workers count instead of logging.
// RINGWAY_LOG: "LEVEL" or "LEVEL,FORMAT", LEVEL trace|debug|info|warn|error, FORMAT text|json. Default "info,text".
#pragma once

#include <spdlog/spdlog.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace ringway::log {

// `program` names the process in every line. InvalidArgument when `spec` is not of the form above; the default then holds.
absl::Status Init(std::string_view program, std::string_view spec);
absl::Status InitFromEnvironment(std::string_view program);

}  // namespace ringway::log
