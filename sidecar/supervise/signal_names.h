// Signal names as people write them: "TERM", "SIGTERM", "15".
#pragma once

#include <string>
#include <string_view>

namespace ringway::sidecar {

int SignalFromName(std::string_view name);  // 0 when unknown
std::string SignalName(int signal);         // "SIGTERM", or "signal 40"

}  // namespace ringway::sidecar
