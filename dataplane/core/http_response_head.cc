// Parsing of a response's head: the status line, then its fields (http_field_section.h). See http_head.h for the contract.
#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>

#include "dataplane/core/http_field_section.h"
#include "dataplane/core/http_head.h"
#include "dataplane/core/http_message.h"
#include "dataplane/core/http_scan.h"
#include "dataplane/core/http_token.h"

namespace ringway::dp {
namespace {

using http::Input;

constexpr int kStatusBytes = 12;  // "HTTP/1.1 200"

// "HTTP/1.1 200" at `p`, whole or in part, and not as it should be.
[[gnu::noinline]] HeadError RefuseStatus(const Input in, const char* p, ResponseHead& head) {
  const HeadError error = http::Match(in, p, "HTTP/0.0 000");
  if (error == HeadError::kIncomplete) return error;
  if (error == HeadError::kNone && !http::IsVersion(p)) return HeadError::kVersion;
  head.bad_reason = error == HeadError::kNone ? BadReason::kStatus : BadReason::kRequestLine;
  return HeadError::kBad;
}

HeadError ReadStatus(const Input& in, const char* p, ResponseHead& head) {
  if (in.end - p < kStatusBytes || !http::IsVersion(p) || p[8] != ' ') [[unlikely]] return RefuseStatus(in, p, head);
  const uint32_t hundreds = http::DigitOf(p[9]), tens = http::DigitOf(p[10]), ones = http::DigitOf(p[11]);
  if (hundreds - 1 >= 5 || tens > 9 || ones > 9) [[unlikely]] return RefuseStatus(in, p, head);
  head.minor_version = static_cast<uint8_t>(p[7] - '0');
  head.version_offset = http::ToOffset(in, p + 7);
  head.status = static_cast<uint16_t>(hundreds * 100 + tens * 10 + ones);
  return HeadError::kNone;
}

// What stands behind the code, at `p`, up to the end of the line, which `line_end` is then set to: nothing, or a space and a
// reason, which may be empty.
[[gnu::noinline]] HeadError ReadReason(const Input in, const char* p, ResponseHead& head, const char*& line_end) {
  if (p == in.end) return HeadError::kIncomplete;
  const char* cr = *p == ' ' ? http::Find<http::ControlStop>(in, p) : p;
  if (cr == in.end) return HeadError::kIncomplete;
  if (*cr != '\r' && *cr != '\n') {
    head.bad_reason = BadReason::kRequestLine;
    return HeadError::kBad;
  }
  if (*cr == '\r' && cr + 1 == in.end) return HeadError::kIncomplete;
  if (*cr == '\n' || cr[1] != '\n') {
    head.bad_reason = BadReason::kLineEnd;
    return HeadError::kBad;
  }
  line_end = cr;
  return HeadError::kNone;
}

[[gnu::always_inline]] inline HeadError Parse(const Input in, ResponseHead& head) {
  HeadError error = ReadStatus(in, in.begin, head);
  if (error != HeadError::kNone) return error;
  const char* const reason = in.begin + kStatusBytes;
  http::ControlScan scan(in, reason);  // the fields' too
  const char* cr;
  const bool plain = scan.Next(reason, cr) && std::memcmp(cr, "\r\n", 2) == 0 && *reason == ' ';
  if (!plain) [[unlikely]] error = ReadReason(in, reason, head, cr);
  if (error != HeadError::kNone) return error;
  return http::FieldSection<ResponseHead>(in, head, true, true).Read(scan, cr + 2);
}

}  // namespace

bool AddCut(Cuts& cuts, Span line) {
  Span* const end = cuts.at + cuts.count;
  Span* const next =
      std::find_if(cuts.at, end, [line](const Span& cut) { return cut.offset > line.offset; });
  const bool joins_next = next != end && line.offset + line.size == next->offset;
  const bool joins_last = next != cuts.at && next[-1].offset + next[-1].size == line.offset;
  if (joins_last) {
    next[-1].size += line.size;
    if (!joins_next) return true;
    next[-1].size += next->size;
    std::move(next + 1, end, next);
    --cuts.count;
  } else if (joins_next) {
    *next = Span{line.offset, line.size + next->size};
  } else {
    if (cuts.count == kCutsMax) return false;
    std::move_backward(next, end, end + 1);
    *next = line;
    ++cuts.count;
  }
  return true;
}

HeadError ParseResponseHead(const char* data, uint32_t size, uint32_t head_bytes_max,
                            uint32_t& scanned, ResponseHead& out) {
  http::Attempt attempt(data, size, head_bytes_max, scanned);
  if (!attempt.worthwhile()) return attempt.Incomplete();
  new (&out) ResponseHead;
  const HeadError error = Parse(attempt.in(), out);
  return error == HeadError::kIncomplete ? attempt.Incomplete() : error;
}

}  // namespace ringway::dp
