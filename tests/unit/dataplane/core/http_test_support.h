// What the HTTP/1 tests share: parse a text from a buffer that is exactly as long (so that the
// address sanitizer sees a read beyond it), and show the result as text. Tests only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/core/http_head.h"

namespace ringway::dp::test {

inline constexpr HeadLimits kLimits{.head_bytes_max = 16384, .target_bytes_max = 8000};
inline constexpr RequestRules kRules{
    .limits = kLimits, .keep_forwarded = false, .keep_upgrade = true};

struct Exact {  // a heap copy with nothing after it
  explicit Exact(std::string_view text) : bytes(new char[text.size()]), size(text.size()) {
    std::copy(text.begin(), text.end(), bytes.get());
  }
  std::unique_ptr<char[]> bytes;
  size_t size;
};

template <typename Head>
struct Parsed {
  HeadError error = HeadError::kNone;
  Head head;
  std::string text;

  std::string At(Span span) const { return text.substr(span.offset, span.size); }
  // The head without its cuts: what a caller forwards, but for what it inserts.
  std::string Forwarded() const {
    std::string out;
    uint32_t at = 0;
    for (int i = 0; i < head.cuts.count; ++i) {
      out += text.substr(at, head.cuts.at[i].offset - at);
      at = head.cuts.at[i].offset + head.cuts.at[i].size;
    }
    return out + text.substr(at, head.size - at);
  }
};

inline HeadError Parse(const char* data, size_t size, const RequestRules& rules, uint32_t& scanned,
                       RequestHead& head) {
  return ParseRequestHead(data, static_cast<uint32_t>(size), rules, scanned, head);
}
inline HeadError Parse(const char* data, size_t size, const RequestRules& rules, uint32_t& scanned,
                       ResponseHead& head) {
  return ParseResponseHead(data, static_cast<uint32_t>(size), rules.limits.head_bytes_max, scanned,
                           head);
}

template <typename Head>
Parsed<Head> ParseText(std::string_view text, const RequestRules& rules = kRules) {
  Parsed<Head> parsed;
  parsed.text = text;
  const Exact exact(text);
  uint32_t scanned = 0;
  parsed.error = Parse(exact.bytes.get(), exact.size, rules, scanned, parsed.head);
  return parsed;
}

inline Parsed<RequestHead> ParseRequest(std::string_view text, const RequestRules& rules = kRules) {
  return ParseText<RequestHead>(text, rules);
}
inline Parsed<ResponseHead> ParseResponse(std::string_view text) {
  return ParseText<ResponseHead>(text);
}

// Prefixes of growing length, each in a buffer of its own, with `scanned` kept from one to the
// next. Stops at the first answer that is not kIncomplete.
template <typename Head>
Parsed<Head> ParseInPieces(std::string_view text, const std::vector<size_t>& ends,
                           const RequestRules& rules = kRules) {
  Parsed<Head> parsed;
  uint32_t scanned = 0;
  for (const size_t end : ends) {
    parsed.text = text.substr(0, end);
    const Exact exact(parsed.text);
    parsed.error = Parse(exact.bytes.get(), exact.size, rules, scanned, parsed.head);
    if (parsed.error != HeadError::kIncomplete) break;
  }
  return parsed;
}

inline std::string Describe(const Parsed<RequestHead>& p) {
  const RequestHead& h = p.head;
  std::string out = "error=" + std::to_string(static_cast<int>(p.error)) +
                    " reason=" + std::to_string(static_cast<int>(h.bad_reason));
  if (p.error != HeadError::kNone) return out;
  for (const uint64_t n :
       {uint64_t{h.start}, uint64_t{h.size}, uint64_t(h.method), uint64_t{h.method_idempotent},
        uint64_t{h.minor_version}, uint64_t{h.keep_alive}, uint64_t{h.chunked},
        uint64_t{h.has_length}, h.length, uint64_t{h.expect_continue}, uint64_t{h.upgrade},
        uint64_t{h.absolute_form}, uint64_t{h.version_offset}, uint64_t{h.headers_offset}}) {
    out += " " + std::to_string(n);
  }
  for (const Span s : {h.target, h.host, h.path, h.upgrade_value, h.forwarded_for}) {
    out += " [" + std::to_string(s.offset) + "+" + p.At(s) + "]";
  }
  return out + "\n" + p.Forwarded();
}

inline std::string Describe(const Parsed<ResponseHead>& p) {
  const ResponseHead& h = p.head;
  std::string out = "error=" + std::to_string(static_cast<int>(p.error)) +
                    " reason=" + std::to_string(static_cast<int>(h.bad_reason));
  if (p.error != HeadError::kNone) return out;
  for (const uint64_t n :
       {uint64_t{h.size}, uint64_t{h.status}, uint64_t{h.minor_version}, uint64_t{h.keep_alive},
        uint64_t{h.chunked}, uint64_t{h.has_length}, h.length, uint64_t{h.upgrade},
        uint64_t{h.version_offset}, uint64_t{h.headers_offset}}) {
    out += " " + std::to_string(n);
  }
  return out + " [" + p.At(h.upgrade_value) + "]\n" + p.Forwarded();
}

}  // namespace ringway::dp::test
