// See printable.h.
#include "common/log/printable.h"

#include <algorithm>

namespace ringway::log {

std::string Printable(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string line;
  line.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      line += c;
    } else if (c == '\n') {
      line += "\\n";
    } else if (c == '\t') {
      line += "\\t";
    } else {
      line += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return line;
}

std::string FirstLine(std::string_view text) {
  constexpr size_t kBytesMax = 200;
  return std::string(text.substr(0, std::min(text.find('\n'), kBytesMax)));
}

}  // namespace ringway::log
