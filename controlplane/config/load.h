// From text to a checked Config, whole or not at all. Blocking file read; at start and at reload only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/config/config.h"

namespace ringway::cp {

struct Loaded {
  Config config;
  std::vector<std::string> warnings;  // `file:line:column path: ...`
};

// The path that was asked for, else RINGWAY_CONFIG, else /etc/ringway/ringway.json when it exists, else "" (built-in default).
std::string ChooseConfigFile(const std::string& asked_for);

// `file` empty: the built-in default. InvalidArgument carries every error, one a line, in the order of the file; NotFound and
// others when it cannot be read.
absl::StatusOr<Loaded> LoadConfig(const std::string& file);

// `catalog_address` is what RINGWAY_CATALOG says; it counts when the text has no "catalog" section.
absl::StatusOr<Loaded> ParseConfig(std::string_view text, const std::string& file, const std::string& catalog_address);

}  // namespace ringway::cp
