// What Consul says, made fit for logs and status documents.
#pragma once

#include <string>
#include <string_view>

namespace ringway::cp {

// Of a foreign text, for logs and status documents: its first line, 200 bytes at most; what is not printable ASCII becomes '?'.
std::string FirstLine(std::string_view text);

}  // namespace ringway::cp
