// A parsed head as the slices that are forwarded: the received bytes without what is cut, with a block of lines inserted
// before the blank line. The version digit is set in place: a proxy speaks its own version (RFC 9110 section 2.5).
//
// One slice is cheaper to send than two (docs/adr/0012): where one place is cut, the few bytes before it are moved up to what
// follows. Beyond `start`, `size` and what a second call needs, offsets in the head then no longer hold.
#pragma once

#include <cstdint>
#include <string_view>

#include "dataplane/core/http_head.h"
#include "dataplane/core/io.h"

namespace ringway::dp {

// Writes slices to `out` (room for kSlicesMax) and returns their number. The last slice is the blank line; `body` bytes that
// follow the head at data + head.size go along with it. `inserted` holds whole lines and must live as long as the slices.
uint32_t ForwardRequestInParts(char* data, RequestHead& head, std::string_view inserted, uint32_t body, Slice* out);
uint32_t ForwardResponseInParts(char* data, ResponseHead& head, std::string_view inserted, uint32_t body, Slice* out);

// The same; a head that passes whole, as most do, is one slice without further looking.
inline uint32_t ForwardRequest(char* data, RequestHead& head, std::string_view inserted, uint32_t body, Slice* out) {
  if (head.cuts.count != 0 || !inserted.empty() || head.absolute_form) return ForwardRequestInParts(data, head, inserted, body, out);
  // A 1.0 request without a Host line would be refused by an endpoint as 1.1.
  if (head.host.size > 0) data[head.version_offset] = '1';
  out[0] = {data + head.start, head.size - head.start + body};
  return 1;
}

inline uint32_t ForwardResponse(char* data, ResponseHead& head, std::string_view inserted, uint32_t body, Slice* out) {
  if (head.cuts.count != 0 || !inserted.empty()) return ForwardResponseInParts(data, head, inserted, body, out);
  data[head.version_offset] = '1';
  out[0] = {data, head.size + body};
  return 1;
}

}  // namespace ringway::dp
