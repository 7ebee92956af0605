// Byte classes of HTTP/1 (RFC 9110 section 5.6, RFC 3986) and the searches that the head parser is
// made of: sixteen bytes a step where SSE2 is, one a step elsewhere, never a read outside of the
// input. Constant tables and pure functions, any thread.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace ringway::dp::http {

// What is being parsed. Searches may look at any of its bytes.
struct Input {
  const char* begin;
  const char* end;
};

inline constexpr uint8_t kToken = 1;    // tchar
inline constexpr uint8_t kControl = 2;  // never in a field value: CTL but HTAB
inline constexpr uint8_t kTarget = 4;   // visible ASCII but "#"
inline constexpr uint8_t kRegName = 8;  // RFC 3986 unreserved and sub-delims
inline constexpr uint8_t kHexDigit = 16;
inline constexpr uint8_t kPlain = 32;  // nearly all of names and hosts: letters, digits, "-", "."

constexpr std::array<uint8_t, 256> MakeByteClasses() {
  std::array<uint8_t, 256> classes{};
  for (unsigned c = 0; c < 256; ++c) {
    const unsigned lower = c | 0x20;
    const bool digit = c >= '0' && c <= '9';
    const bool alnum = digit || (lower >= 'a' && lower <= 'z' && c < 0x80);
    if ((c < 0x20 && c != '\t') || c == 0x7f) classes[c] |= kControl;
    if (c > 0x20 && c < 0x7f && c != '#') classes[c] |= kTarget;
    if (alnum) classes[c] |= kToken | kRegName | kPlain;
    if (digit || (alnum && lower <= 'f')) classes[c] |= kHexDigit;
  }
  for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
    classes[static_cast<uint8_t>(c)] |= kToken;
  for (const char c : std::string_view("-._~!$&'()*+,;="))
    classes[static_cast<uint8_t>(c)] |= kRegName;
  classes['-'] |= kPlain;
  classes['.'] |= kPlain;
  return classes;
}
inline constexpr std::array<uint8_t, 256> kByteClasses = MakeByteClasses();

constexpr bool Has(char c, uint8_t classes) {
  return (kByteClasses[static_cast<uint8_t>(c)] & classes) != 0;
}
constexpr bool IsSpace(char c) { return c == ' ' || c == '\t'; }
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

// What a search stops at: At() for one byte, Mask() the same for sixteen, one bit a byte.
struct ControlStop {
  static bool At(char c) { return Has(c, kControl); }
#if defined(__SSE2__)
  static uint32_t Mask(__m128i v) {
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    const __m128i tab = _mm_cmpeq_epi8(v, _mm_set1_epi8('\t'));
    const __m128i del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del)));
  }
#endif
};

struct TargetStop {
  static bool At(char c) { return !Has(c, kTarget); }
#if defined(__SSE2__)
  static uint32_t Mask(__m128i v) {
    // As signed bytes everything from 0x80 on is below the space too.
    const __m128i visible = _mm_cmpgt_epi8(v, _mm_set1_epi8(0x20));
    const __m128i hash = _mm_cmpeq_epi8(v, _mm_set1_epi8('#'));
    const __m128i del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
    const __m128i good = _mm_andnot_si128(_mm_or_si128(hash, del), visible);
    return static_cast<uint32_t>(_mm_movemask_epi8(good)) ^ 0xffff;
  }
#endif
};

struct PathStop {
  static bool At(char c) { return c == '?' || TargetStop::At(c); }
#if defined(__SSE2__)
  static uint32_t Mask(__m128i v) {
    const __m128i query = _mm_cmpeq_epi8(v, _mm_set1_epi8('?'));
    return TargetStop::Mask(v) | static_cast<uint32_t>(_mm_movemask_epi8(query));
  }
#endif
};

struct PlainStop {
  static bool At(char c) { return !Has(c, kPlain); }
#if defined(__SSE2__)
  static uint32_t Mask(__m128i v) {
    const __m128i letter = _mm_sub_epi8(_mm_or_si128(v, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
    const __m128i digit = _mm_sub_epi8(v, _mm_set1_epi8('0'));
    const __m128i letters = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(25)), letter);
    const __m128i digits = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
    // A byte is in a range when, less the range's first, it is at most the range's size less one.
    const __m128i mark = _mm_sub_epi8(v, _mm_set1_epi8('-'));
    const __m128i marks = _mm_cmpeq_epi8(_mm_min_epu8(mark, _mm_set1_epi8(1)), mark);
    const __m128i good = _mm_or_si128(_mm_or_si128(letters, digits), marks);
    return static_cast<uint32_t>(_mm_movemask_epi8(good)) ^ 0xffff;
  }
#endif
};

// The first byte of [p, in.end) that Stop stops at, or in.end. p is within `in`.
template <typename Stop>
[[gnu::always_inline]] inline const char* Find(const Input& in, const char* p) {
#if defined(__SSE2__)
  const auto load = [](const char* at) {
    return _mm_loadu_si128(static_cast<const __m128i*>(static_cast<const void*>(at)));
  };
  for (; in.end - p >= 16; p += 16) {
    const uint32_t mask = Stop::Mask(load(p));
    if (mask != 0) return p + std::countr_zero(mask);
  }
  if (in.end - in.begin >= 16) {  // the last bytes, with some before p, which are shifted out
    const uint32_t mask = Stop::Mask(load(in.end - 16)) >> (16 - (in.end - p));
    return mask != 0 ? p + std::countr_zero(mask) : in.end;
  }
#endif
  while (p != in.end && !Stop::At(*p)) ++p;
  return p;
}

[[gnu::always_inline]] inline const char* FindTokenEnd(const Input& in, const char* p) {
  p = Find<PlainStop>(in, p);
  while (p != in.end && Has(*p, kToken)) [[unlikely]]
    ++p;
  return p;
}

}  // namespace ringway::dp::http
