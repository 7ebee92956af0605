// Go's durations: a sign, then numbers with units, in any order.
#include "controlplane/catalog/go_duration.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

namespace ringway::cp {
namespace {

constexpr std::pair<std::string_view, double> kUnits[] = {
    {"ns", 1},   {"us", 1e3}, {"\u00b5s", 1e3}, {"\u03bcs", 1e3},
    {"ms", 1e6}, {"s", 1e9},  {"m", 6e10},      {"h", 3.6e12}};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes one "NUMBER UNIT" from the front of `text`; negative when it is none.
double TakePart(std::string_view& text) {
  size_t length = 0;
  int digits = 0;
  for (bool dot = false; length < text.size(); ++length) {
    if (IsDigit(text[length])) {
      ++digits;
    } else if (text[length] == '.' && !dot) {
      dot = true;
    } else {
      break;
    }
  }
  if (digits == 0 || digits > 40) return -1;
  const double number = std::stod("0" + std::string(text.substr(0, length)));
  text.remove_prefix(length);
  size_t unit = 0;
  while (unit < text.size() && text[unit] != '.' && !IsDigit(text[unit])) ++unit;
  for (const auto& [name, factor] : kUnits) {
    if (text.substr(0, unit) != name) continue;
    text.remove_prefix(unit);
    return number * factor;
  }
  return -1;
}

}  // namespace

std::optional<std::chrono::nanoseconds> ParseGoDuration(std::string_view text) {
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  if (text == "0") return std::chrono::nanoseconds{0};
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    const double part = TakePart(text);
    if (part < 0) return std::nullopt;
    total += part;
  }
  if (total > 9.2e18) return std::nullopt;
  const auto count = static_cast<int64_t>(std::llround(total));
  return std::chrono::nanoseconds{negative ? -count : count};
}

}  // namespace ringway::cp
