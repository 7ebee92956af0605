// See consul_text.h.
#include "controlplane/discovery/consul_text.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace ringway::cp {

std::string PathEscaped(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '-' || c == '_' || c == '.' || c == '~') {
      escaped += c;
    } else {
      escaped += '%';
      escaped += kHex[byte >> 4];
      escaped += kHex[byte & 15];
    }
  }
  return escaped;
}

std::string FirstLine(std::string_view text) {
  constexpr size_t kBytesMax = 200;
  std::string line(text.substr(0, std::min(text.find('\n'), kBytesMax)));
  std::replace_if(line.begin(), line.end(), [](char c) { return !absl::ascii_isprint(static_cast<unsigned char>(c)); }, '?');
  return line;
}

}  // namespace ringway::cp
