// Sections and keys of a supervisord.conf, as Python's ConfigParser reads them. No meaning yet.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace ringway::sidecar {

struct IniKey {
  std::string name;  // lower case
  std::string value;
  int line = 0;
};
struct IniSection {
  std::string name;
  int line = 0;
  std::vector<IniKey> keys;
};

// Comments: a line that starts with ; or #, and " ;" behind a value. An indented line continues the value above it.
// InvalidArgument "FILE:LINE: reason".
absl::StatusOr<std::vector<IniSection>> ParseIni(const std::string& path, std::string_view text);

}  // namespace ringway::sidecar
