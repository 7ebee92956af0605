// Lines of what happened, and failing.
#include "tests/sim/trace.h"

#include <cstdarg>
#include <cstdio>

namespace ringway::sim {

void Trace::Say(const char* format, ...) {
  char text[400];
  int at = std::snprintf(text, sizeof text, "%12.6f ", now_us_ == nullptr ? 0.0 : static_cast<double>(*now_us_) / 1e6);
  va_list args;
  va_start(args, format);
  std::vsnprintf(text + at, sizeof text - static_cast<size_t>(at), format, args);
  va_end(args);
  if (print_) {
    std::puts(text);
    return;
  }
  lines_.emplace_back(text);
  if (lines_.size() > kKept) lines_.pop_front();
}

void Trace::PrintTail() const {
  for (const std::string& line : lines_) std::puts(line.c_str());
}

void Fail(const char* format, ...) {
  char text[600];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  throw Violation(text);
}

}  // namespace ringway::sim
