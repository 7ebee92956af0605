// Consul compares service names, node names and tags without regard to case, over all of Unicode.
#pragma once

#include <string>
#include <string_view>

namespace ringway::cp {

// `text` (UTF-8) in lower case, one code point at a time. Bytes that are no UTF-8 stay as they are.
std::string Fold(std::string_view text);

}  // namespace ringway::cp
