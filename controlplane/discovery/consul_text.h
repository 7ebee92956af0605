// Small pieces of text on the way to and from Consul.
#pragma once

#include <string>
#include <string_view>

namespace ringway::cp {

// One path segment or query value: everything but letters, digits and -_.~ as %XX.
std::string PathEscaped(std::string_view text);
// Of a foreign text, for logs and status documents: its first line, 200 bytes at most; what is not printable ASCII becomes '?'.
std::string FirstLine(std::string_view text);

}  // namespace ringway::cp
