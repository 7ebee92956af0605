// See consul_text.h.
#include "controlplane/discovery/consul_text.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "common/log/printable.h"

namespace ringway::cp {

std::string FirstLine(std::string_view text) {
  std::string line = log::FirstLine(text);
  std::replace_if(line.begin(), line.end(), [](char c) { return !absl::ascii_isprint(static_cast<unsigned char>(c)); }, '?');
  return line;
}

}  // namespace ringway::cp
