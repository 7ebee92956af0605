// HTTP/1.x message heads, parsed in place: what the session machine must know to frame, route and
// forward a message, as offsets into the caller's buffer. Pure functions of their input: any
// thread, no allocation, no exceptions; work is linear in the bytes of the head, and the heads
// themselves are bounded by the caller's limits.
//
// Strict on purpose (RFC 9112 section 11): what two parsers could read differently is refused, not
// repaired. Every vector has a test in tests/unit/dataplane/core/http_*_test.cc.
#pragma once

#include <cstdint>

namespace ringway::dp {

// Bytes [offset, offset + size) of the buffer that was parsed.
struct Span {
  uint32_t offset = 0;
  uint32_t size = 0;
};

// RFC 9110 section 9.3 and RFC 5789. kOther is any further token: it is forwarded, never retried.
enum class Method : uint8_t {
  kGet,
  kHead,
  kPost,
  kPut,
  kDelete,
  kOptions,
  kTrace,
  kConnect,
  kPatch,
  kOther
};

enum class HeadError : uint8_t {
  kNone,
  kIncomplete,      // no end of head yet, and nothing wrong so far
  kBad,             // 400; the reason is in the head's `bad_reason`
  kTooLarge,        // 431: no end of head within head_bytes_max
  kTargetTooLong,   // 414
  kVersion,         // 505: well-formed, but neither HTTP/1.0 nor HTTP/1.1
  kNotImplemented,  // 501: a method longer than kMethodBytesMax
};

// Why a head was refused with kBad.
enum class BadReason : uint8_t {
  kNone,
  kRequestLine,    // RFC 9112 section 3, the status line of section 4 too
  kTarget,         // RFC 9112 section 3.2
  kLineEnd,        // bare CR or bare LF: RFC 9112 section 2.2
  kFieldName,      // not a token, or white space before the colon: RFC 9112 section 5.1
  kFieldValue,     // control bytes: RFC 9110 section 5.5
  kFolded,         // obs-fold, or white space before the first field: RFC 9112 sections 2.2 and 5.2
  kHost,           // missing, repeated, malformed, or not the target's: RFC 9112 section 3.2
  kContentLength,  // RFC 9110 section 8.6
  kTransferEncoding,  // RFC 9112 section 6.1
  kBothFramings,      // Content-Length beside Transfer-Encoding: RFC 9112 section 6.3
  kConnection,        // Connection names a field that frames or routes, or too many fields
  kCuts,              // more than kCutsMax separate places to cut
  kStatus,            // outside 100..599: RFC 9110 section 15
};

inline constexpr uint32_t kMethodBytesMax = 32;
inline constexpr int kCutsMax = 16;
inline constexpr int kNominatedMax = 16;  // fields Connection may name beyond its own options

// Whole header lines, each with its CRLF, that are not forwarded (RFC 9110 section 7.6.1):
// ascending, not overlapping, and neighbours merged, so that what is forwarded is `count` + 1
// slices.
struct Cuts {
  Cuts() : count(0) {}  // leaves `at` as it is
  union {
    Span at[kCutsMax];  // the first `count`
  };
  uint8_t count;
};

// Adds one more line, whole with its CRLF, that no cut covers yet. False when there is no room,
// which for ResponseHead::coding_line there always is.
bool AddCut(Cuts& cuts, Span line);

struct HeadLimits {
  uint32_t head_bytes_max;
  uint32_t target_bytes_max;
};

struct RequestRules {
  HeadLimits limits;
  // The peer is a trusted proxy: X-Forwarded-For, -Port and -Proto stay, else they are cut.
  bool keep_forwarded;
  // Upgrade passes, when it is a real offer and not one of HTTP itself (h2c).
  bool keep_upgrade;
};

// All spans are relative to `data`. Valid after kNone; after an error only `bad_reason` is.
struct RequestHead {
  // Of the request line: 2 when an empty line came before it (RFC 9112 section 2.2), else 0.
  uint32_t start = 0;
  uint32_t size = 0;  // bytes from `data` to the end of the blank line, so including `start`
  Method method = Method::kOther;
  bool method_idempotent = false;  // RFC 9110 section 9.2.2
  uint8_t minor_version = 1;       // 0 or 1
  bool keep_alive = true;          // RFC 9112 section 9.3
  bool chunked = false;            // Transfer-Encoding: chunked; never with has_length
  bool has_length = false;
  uint64_t length = 0;           // at most 2^62; 0 unless has_length
  bool expect_continue = false;  // HTTP/1.1 only, and only while the Expect line is not cut
  // HTTP/1.1 without a body, Connection: upgrade, one Upgrade line without h2c, and
  // rules.keep_upgrade. Then the Upgrade line is not in `cuts`, but Connection is: the caller
  // inserts `Connection: Upgrade`.
  bool upgrade = false;
  // http:// or https:// target; its authority equals Host. The caller forwards [path.offset, end of
  // target) as the target; where `path` is empty it inserts "/" before that ("*" for OPTIONS
  // without a query).
  bool absolute_form = false;
  BadReason bad_reason = BadReason::kNone;
  Span target;  // as received
  // Of Host, or of an absolute-form target in HTTP/1.0 without Host; may be empty.
  Span host;
  bool host_from_target = false;  // there is no Host line: the caller inserts one
  // For routing, without the query. Raw: not decoded, dots not resolved. "*" for asterisk-form.
  Span path;
  uint32_t version_offset = 0;  // of the digit after "HTTP/1."
  uint32_t headers_offset = 0;  // of the first header line
  Span upgrade_value;           // empty unless `upgrade`
  Span forwarded_for;           // value of the last X-Forwarded-For line that is kept
  Cuts cuts;
};

// Parses the head at [data, data + size) and reads nothing beyond it. `scanned` is 0 for a new head
// and then kept by the caller while kIncomplete is returned and bytes are appended: bytes known to
// hold no end of head, so that a head arriving a byte at a time costs linear time in total. Bare CR
// and LF are refused as soon as they are there. CONNECT is parsed (authority-form target, empty
// path): refusing it is up to the caller.
HeadError ParseRequestHead(const char* data, uint32_t size, const RequestRules& rules,
                           uint32_t& scanned, RequestHead& out);

struct ResponseHead {
  uint32_t size = 0;  // including the blank line
  uint16_t status = 0;
  uint8_t minor_version = 1;
  bool keep_alive = true;
  bool chunked = false;
  // In 1xx and 204 Content-Length is cut and not reported (RFC 9110 section 8.6), Transfer-Encoding
  // is refused.
  bool has_length = false;
  uint64_t length = 0;
  // 101 with Connection: upgrade and one Upgrade line, which then is not in `cuts`.
  bool upgrade = false;
  BadReason bad_reason = BadReason::kNone;
  Span upgrade_value;
  uint32_t version_offset = 0;
  uint32_t headers_offset = 0;  // of the first header line
  Span coding_line;             // Transfer-Encoding, whole: AddCut it where chunks are stripped
  Cuts cuts;
};

// The same for a response. Whether a body follows depends on the request too (HEAD, CONNECT), on
// 1xx, 204 and 304, and on the end of the connection (RFC 9112 section 6.3): that is the caller's
// part.
HeadError ParseResponseHead(const char* data, uint32_t size, uint32_t head_bytes_max,
                            uint32_t& scanned, ResponseHead& out);

}  // namespace ringway::dp
