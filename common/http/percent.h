// Percent-encoding of what stands in a request target (RFC 3986 section 2.1). Pure.
#pragma once

#include <string>
#include <string_view>

namespace ringway::http {

// One path segment or query value: everything but letters, digits and -_.~ (section 2.3) as %XX.
std::string PercentEncoded(std::string_view text);
// A '%' that two hex digits do not follow stands for itself.
std::string PercentDecoded(std::string_view text, bool plus_is_space);

}  // namespace ringway::http
