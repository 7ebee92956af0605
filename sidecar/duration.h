// Durations as Go and Consul write them: "10s", "1m30s", "300ms", "0.5s". https://pkg.go.dev/time#ParseDuration
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace ringway::sidecar {

// InvalidArgument for a missing unit, a negative or an endless duration. Below a millisecond is rounded down.
absl::StatusOr<std::chrono::milliseconds> ParseDuration(std::string_view text);

// "10s" or "300ms": a form that ParseDuration and Consul both read.
std::string FormatDuration(std::chrono::milliseconds duration);

}  // namespace ringway::sidecar
