// Field lines of a head (RFC 9110 section 5, RFC 9112 section 5): one line read and checked, the
// names that a proxy acts on told from the others, and the few values that it reads. Header only,
// for inlining into the head parser; pure functions, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "dataplane/core/http_head.h"
#include "dataplane/core/http_scan.h"
#include "dataplane/core/http_token.h"

namespace ringway::dp::http {

enum class Field : uint8_t {
  kOther,
  kHost,
  kConnection,
  kContentLength,
  kTransferEncoding,
  kUpgrade,
  kExpect,
  kForwardedFor,
  kForwardedRest,  // X-Forwarded-Port, X-Forwarded-Proto
  kHopByHop,       // Keep-Alive, Proxy-Connection, TE
};

// Whether the token at `text`, as long as `lower`, is `lower` in any case. `lower` consists of
// small letters, digits and "-": setting bit 5 changes no other tchar into one of those.
template <size_t kSize>
inline bool IsWord(const char* text, const char (&lower)[kSize]) {
  constexpr size_t kLength = kSize - 1;
  const auto same = [&]<typename Word>(size_t at, Word bit5) {
    Word a, b;
    std::memcpy(&a, text + at, sizeof a);
    std::memcpy(&b, lower + at, sizeof b);
    return (a | bit5) == b;
  };
  constexpr uint64_t kBits8 = 0x2020202020202020;
  constexpr uint32_t kBits4 = 0x20202020;
  if constexpr (kLength > 16) {
    return same(0, kBits8) && same(8, kBits8) && same(kLength - 8, kBits8);
  } else if constexpr (kLength >= 8) {
    return same(0, kBits8) && same(kLength - 8, kBits8);
  } else if constexpr (kLength >= 4) {
    return same(0, kBits4) && same(kLength - 4, kBits4);
  } else {
    for (size_t i = 0; i < kLength; ++i) {
      if ((text[i] | 0x20) != lower[i]) return false;
    }
    return true;
  }
}

template <size_t kSize>
inline bool IsWord(std::string_view text, const char (&lower)[kSize]) {
  return text.size() == kSize - 1 && IsWord(text.data(), lower);
}

// By size: the letters with which names of that size begin that Recognize knows, as bit c & 31.
inline constexpr std::array<uint32_t, 18> kFirstLetters = [] {
  std::array<uint32_t, 18> letters{};
  for (const std::string_view name :
       {"te", "host", "expect", "upgrade", "connection", "keep-alive", "content-length",
        "x-forwarded-for", "proxy-connection", "x-forwarded-port", "transfer-encoding",
        "x-forwarded-proto"}) {
    letters[name.size()] |= 1u << (name[0] & 31);
  }
  return letters;
}();

// `name` consists of tchars and is not empty.
[[gnu::always_inline]] inline Field Recognize(std::string_view name) {
  const char* p = name.data();
  if (name.size() >= kFirstLetters.size() || (kFirstLetters[name.size()] >> (*p & 31) & 1) == 0) {
    return Field::kOther;  // most of them
  }
  switch (name.size()) {
    case 2:
      return IsWord(p, "te") ? Field::kHopByHop : Field::kOther;
    case 4:
      return IsWord(p, "host") ? Field::kHost : Field::kOther;
    case 6:
      return IsWord(p, "expect") ? Field::kExpect : Field::kOther;
    case 7:
      return IsWord(p, "upgrade") ? Field::kUpgrade : Field::kOther;
    case 10:
      if (IsWord(p, "connection")) return Field::kConnection;
      return IsWord(p, "keep-alive") ? Field::kHopByHop : Field::kOther;
    case 14:
      return IsWord(p, "content-length") ? Field::kContentLength : Field::kOther;
    case 15:
      return IsWord(p, "x-forwarded-for") ? Field::kForwardedFor : Field::kOther;
    case 16:
      if (IsWord(p, "proxy-connection")) return Field::kHopByHop;
      return IsWord(p, "x-forwarded-port") ? Field::kForwardedRest : Field::kOther;
    case 17:
      if (IsWord(p, "transfer-encoding")) return Field::kTransferEncoding;
      return IsWord(p, "x-forwarded-proto") ? Field::kForwardedRest : Field::kOther;
    default:
      return Field::kOther;
  }
}

// One field line, whole: [begin, end).
struct Line {
  const char* begin;
  const char* colon;
  const char* cr;

  const char* end() const { return cr + 2; }
  std::string_view whole() const { return {begin, static_cast<size_t>(cr + 2 - begin)}; }
  std::string_view name() const { return {begin, static_cast<size_t>(colon - begin)}; }
  // All between the colon and CRLF.
  std::string_view raw() const { return {colon + 1, static_cast<size_t>(cr - colon - 1)}; }
  // The same without the white space around it. The colon and CR stop the search: neither is a space.
  std::string_view value() const {
    const char* from = colon + 1;
    const char* to = cr;
    while (IsSpace(*from)) ++from;
    while (to > from && IsSpace(to[-1])) --to;
    return {from, static_cast<size_t>(to - from)};
  }
  bool has_tab() const { return raw().find('\t') != std::string_view::npos; }
};

// Why there is no colon after a name at `p`, where the token that began at `begin` ended.
inline BadReason JudgeName(const char* begin, const char* p) {
  if (*p == '\r' || *p == '\n') return BadReason::kLineEnd;
  return p == begin && IsSpace(*p) ? BadReason::kFolded : BadReason::kFieldName;
}

// Reads the line at `p`, which is not the blank line. kNone, kIncomplete, or kBad with `reason`.
[[gnu::noinline]] inline HeadError ReadLine(const Input in, const char* p, Line& line, BadReason& reason) {
  line.begin = p;
  line.colon = FindTokenEnd(in, p);
  if (line.colon == in.end) return HeadError::kIncomplete;
  if (*line.colon != ':' || line.colon == p) {
    reason = JudgeName(p, line.colon);
    return HeadError::kBad;
  }
  line.cr = Find<ControlStop>(in, line.colon + 1);
  if (line.cr == in.end) return HeadError::kIncomplete;
  if (*line.cr == '\r') {
    if (line.cr + 1 == in.end) return HeadError::kIncomplete;
    if (line.cr[1] == '\n') return HeadError::kNone;
  }
  const bool line_end = *line.cr == '\r' || *line.cr == '\n';
  reason = line_end ? BadReason::kLineEnd : BadReason::kFieldValue;
  return HeadError::kBad;
}

// Whether the line at `p` is whole, has a name of letters and "-" and no tab, as nearly all have; then it is `line`. Else ReadLine
// is to judge.
[[gnu::always_inline]] inline bool ReadPlainLine(const Input& in, ControlScan& scan, const char* p, Line& line) {
  const char* cr;
  // The blank line fails below too; told here it saves 30 instructions of a request (g++ 12).
  if (!scan.Next(p, cr) || std::memcmp(cr, "\r\n", 2) != 0 || cr == p) [[unlikely]] return false;
  const char* const colon = Find<NameStop>(in, p);  // at most `cr`
  line = {p, colon, cr};
  return *colon == ':' && colon != p;
}

// Content-Length: 1 to 19 digits and at most 2^62, no space but blanks around them. Refuses lists, signs and tabs.
inline bool ReadLength(const Line& line, uint64_t& length) {
  constexpr uint64_t kLengthMax = uint64_t{1} << 62;
  const char* p = line.colon + 1;  // CR is neither a blank nor a digit
  while (*p == ' ') ++p;
  const char* const digits = p;
  uint64_t value = 0;
  for (uint32_t digit; (digit = DigitOf(*p)) <= 9; ++p) value = value * 10 + digit;
  const auto count = static_cast<size_t>(p - digits);
  while (*p == ' ') ++p;
  length = value;
  return p == line.cr && count - 1 < 19 && value <= kLengthMax;
}

// The next element of a comma-separated list of tokens (RFC 9110 section 5.6.1), empty ones
// skipped. False at the end, and with `bad` where something else than a token is.
inline bool NextToken(std::string_view& list, std::string_view& token, bool& bad) {
  size_t from = 0;
  while (from < list.size() && (IsSpace(list[from]) || list[from] == ',')) ++from;
  size_t to = from;
  while (to < list.size() && Has(list[to], kToken)) ++to;
  token = list.substr(from, to - from);
  size_t next = to;
  while (next < list.size() && IsSpace(list[next])) ++next;
  bad = next < list.size() && (list[next] != ',' || token.empty());
  list.remove_prefix(next);
  return !bad && !token.empty();
}

inline bool EqualNoCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (Lower(a[i]) != Lower(b[i])) return false;
  }
  return true;
}

}  // namespace ringway::dp::http
