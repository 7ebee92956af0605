// Reads one JSON file whole; an error names file, line and column.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace ringway::sidecar {

// Comments and trailing commas are allowed, as in ringway.json. NotFound or PermissionDenied when the file cannot be read,
// InvalidArgument "FILE:LINE:COLUMN: reason" when it is not JSON.
absl::StatusOr<boost::json::value> ReadJsonFile(const std::string& path);
absl::StatusOr<boost::json::value> ParseJsonText(const std::string& path, std::string_view text);

// The whole of a file, at most 4 MiB.
absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace ringway::sidecar
