// Durations as the config writes them: a number and a unit, "500ms", "2s", "1m", "1h"; fractions ("1.5s") too. Milliseconds
// inside. A plain number is refused, because nobody remembers which unit it was.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace ringway::cp {

// InvalidArgument says what was wanted. At most 24 days (what 32 bits of milliseconds and a timer both hold).
absl::StatusOr<uint32_t> ParseDurationMs(std::string_view text);

// The shortest form that reads back as the same: 1500 -> "1500ms", 2000 -> "2s", 3600000 -> "1h".
std::string FormatDuration(uint32_t ms);

}  // namespace ringway::cp
