// What this container runs and offers: the options with every file they name read.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sidecar/options.h"
#include "sidecar/register/definition.h"
#include "sidecar/supervise/program.h"

namespace ringway::sidecar {

struct Plan {
  std::vector<Program> programs;  // exactly one essential
  Definitions definitions;
  std::vector<std::string> warnings;
  std::vector<std::string> notices;
};

// InvalidArgument, NotFound or PermissionDenied: the configuration is wrong, and the message names file and place.
absl::StatusOr<Plan> ReadPlan(const Options& options);

}  // namespace ringway::sidecar
