// Small files in data_dir that outlive the control plane: read whole at the start, replaced whole, so that a kill at any moment
// leaves the old or the new one. Blocking; at start and rarely after.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ringway::cp {

// NotFound when there is none.
absl::StatusOr<std::string> ReadKept(const std::string& file);

// kOnDisk returns when a power cut cannot take it back any more; kWhenever lets the kernel choose.
enum class Durability { kOnDisk, kWhenever };
absl::Status WriteKept(const std::string& file, const std::string& text, Durability durability);

}  // namespace ringway::cp
