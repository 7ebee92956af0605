// Bytes from clients as text in a line of the access log: whatever they are, the line stays one line and its quotes stay closed.
#pragma once

#include <string>
#include <string_view>

namespace ringway::dp {

// As a JSON string, quotes included. Well-formed UTF-8 stays; a byte that is not part of it becomes \u00XX, as do control bytes.
void AppendJsonString(std::string_view text, std::string& out);
// Between the quotes of the combined format, as nginx writes it: `"`, `\`, control bytes and bytes above 0x7e become \xXX.
void AppendQuotable(std::string_view text, std::string& out);

}  // namespace ringway::dp
