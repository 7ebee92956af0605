// See duration.h.
#include "controlplane/config/duration.h"

#include <charconv>
#include <cmath>
#include <utility>

namespace ringway::cp {
namespace {

constexpr double kMsMax = 24.0 * 24 * 3600 * 1000;
constexpr std::pair<std::string_view, uint32_t> kUnits[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

absl::Status Wanted(std::string_view text) {
  return absl::InvalidArgumentError("wanted a duration like \"500ms\", \"2s\" or \"1m\", got \"" + std::string(text) + "\"");
}

}  // namespace

absl::StatusOr<uint32_t> ParseDurationMs(std::string_view text) {
  const size_t digits = text.find_first_not_of("0123456789.");
  if (digits == 0 || digits == std::string_view::npos) return Wanted(text);
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, number);
  if (error != std::errc() || end != text.data() + digits) return Wanted(text);
  for (const auto& [unit, factor] : kUnits) {
    if (text.substr(digits) != unit) continue;
    const double ms = std::round(number * factor);
    if (ms > kMsMax) return absl::InvalidArgumentError("wanted at most 576h, got \"" + std::string(text) + "\"");
    return static_cast<uint32_t>(ms);
  }
  return Wanted(text);
}

std::string FormatDuration(uint32_t ms) {
  for (const auto& [unit, factor] : kUnits) {
    if (ms >= factor && ms % factor == 0) return std::to_string(ms / factor) + std::string(unit);
  }
  return "0s";
}

}  // namespace ringway::cp
