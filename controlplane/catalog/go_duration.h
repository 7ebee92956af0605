// Go's durations, as Consul's documents and its ?wait= use them: "300ms", "1.5h", "1m30s" (Go:
// time.ParseDuration).
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace ringway::cp {

// Nothing when `text` is no duration or out of range (about 292 years). A number needs a unit, "0"
// excepted.
std::optional<std::chrono::nanoseconds> ParseGoDuration(std::string_view text);

}  // namespace ringway::cp
