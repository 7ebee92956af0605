// A parsed head as the slices that are forwarded: the received bytes without what is cut, with a block of lines inserted
// before the blank line. Nothing is copied but the inserted block. The version digit is set in place: a proxy speaks its own
// version (RFC 9110 section 2.5).
#pragma once

#include <cstdint>
#include <string_view>

#include "dataplane/core/http_head.h"
#include "dataplane/core/io.h"

namespace ringway::dp {

// Writes slices to `out` (room for kSlicesMax) and returns their number. The last slice is the blank line; `body` bytes that
// follow the head at data + head.size go along with it. `inserted` holds whole lines and must live as long as the slices.
uint32_t ForwardRequest(char* data, const RequestHead& head, std::string_view inserted, uint32_t body, Slice* out);
uint32_t ForwardResponse(char* data, const ResponseHead& head, std::string_view inserted, uint32_t body, Slice* out);

}  // namespace ringway::dp
