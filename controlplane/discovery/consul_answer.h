// What Consul answers to /v1/health/service/NAME, as instances. Pure. Shapes that were seen: null where a list or a map is
// empty, and keys that are missing; anything else that is not Consul's answer is refused whole, so that a pool is never made of it.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/discovery/instance.h"

namespace ringway::cp {

// Sorted by id, each once. DataLoss: cut short, not JSON, or not that document.
absl::StatusOr<std::vector<Instance>> ParseHealthService(std::string_view body);

}  // namespace ringway::cp
