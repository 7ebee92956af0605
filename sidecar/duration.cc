// Go's duration syntax, without signs: the sidecar has no use for negative time.
#include "sidecar/duration.h"

#include <cctype>
#include <cstdlib>

namespace ringway::sidecar {
namespace {

constexpr double kLongestMs = 365.0 * 24 * 3600 * 1000;

// Milliseconds in the unit at the head of `text`, which it removes. 0 when there is none.
double TakeUnit(std::string_view& text) {
  struct Unit {
    std::string_view name;
    double ms;
  };
  static constexpr Unit kUnits[] = {{"ns", 1e-6}, {"us", 1e-3}, {"µs", 1e-3}, {"ms", 1},
                                    {"s", 1e3},   {"m", 6e4},   {"h", 3.6e6}};
  for (const Unit& unit : kUnits) {
    if (text.substr(0, unit.name.size()) != unit.name) continue;
    text.remove_prefix(unit.name.size());
    return unit.ms;
  }
  return 0;
}

}  // namespace

absl::StatusOr<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  const auto wrong = [&] {
    return absl::InvalidArgumentError("wanted a duration such as 10s or 300ms, got \"" + std::string(text) + "\"");
  };
  if (text == "0") return std::chrono::milliseconds(0);
  double total_ms = 0;
  std::string_view rest = text;
  if (rest.empty()) return wrong();
  while (!rest.empty()) {
    size_t digits = 0;
    while (digits < rest.size() && (std::isdigit(static_cast<unsigned char>(rest[digits])) || rest[digits] == '.'))
      ++digits;
    const std::string number(rest.substr(0, digits));
    char* end = nullptr;
    const double value = std::strtod(number.c_str(), &end);
    if (number.empty() || *end != '\0' || number == ".") return wrong();
    rest.remove_prefix(digits);
    const double unit_ms = TakeUnit(rest);
    if (unit_ms == 0) return wrong();
    total_ms += value * unit_ms;
  }
  if (total_ms > kLongestMs) return wrong();
  return std::chrono::milliseconds(static_cast<int64_t>(total_ms));
}

std::string FormatDuration(std::chrono::milliseconds duration) {
  const int64_t ms = duration.count();
  if (ms % 1000 == 0) return std::to_string(ms / 1000) + "s";
  return std::to_string(ms) + "ms";
}

}  // namespace ringway::sidecar
