// Command lines as supervisord reads them: Python's shlex quoting and %(name)s expansion. No shell is involved.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace ringway::sidecar {

// Words of `text` by POSIX quoting (shlex.split): '..' is literal, ".." knows \" and \\, a backslash outside protects one
// character. InvalidArgument for an open quote or a lone backslash at the end.
absl::StatusOr<std::vector<std::string>> SplitWords(std::string_view text);

// Replaces %(NAME)s and %(NAME)d by `lookup(NAME)` and %% by %. InvalidArgument names what `lookup` does not know.
using Lookup = std::function<std::optional<std::string>(std::string_view name)>;
absl::StatusOr<std::string> Expand(std::string_view text, const Lookup& lookup);

}  // namespace ringway::sidecar
