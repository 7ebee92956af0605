// Text of foreign origin (an instance's id, a check's output) made fit for one line of a log or a terminal.
#pragma once

#include <string>
#include <string_view>

namespace ringway::log {

// Control characters as \n, \t or \xHH; everything else, UTF-8 included, as it is.
std::string Printable(std::string_view text);
// Its first line, 200 bytes at most.
std::string FirstLine(std::string_view text);

}  // namespace ringway::log
