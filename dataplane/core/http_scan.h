// The searches that the head parser is made of: sixteen bytes a step where SSE2 is, one a step elsewhere (RINGWAY_NO_SIMD has
// that everywhere, for a test), never a read outside of the input. Pure functions, any thread.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "dataplane/core/http_token.h"

#if defined(__SSE2__) && !defined(RINGWAY_NO_SIMD)
#define RINGWAY_SSE2 1
#include <emmintrin.h>
#endif

namespace ringway::dp::http {

// What is being parsed. Searches may look at any of its bytes.
struct Input {
  const char* begin;
  const char* end;
};

// What a search stops at: At() for one byte, Mask() the same for sixteen, one bit a byte.
struct ControlStop {
  static bool At(char c) { return Has(c, kControl); }
#if defined(RINGWAY_SSE2)
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
#if defined(RINGWAY_SSE2)
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
#if defined(RINGWAY_SSE2)
  static uint32_t Mask(__m128i v) {
    const __m128i query = _mm_cmpeq_epi8(v, _mm_set1_epi8('?'));
    return TargetStop::Mask(v) | static_cast<uint32_t>(_mm_movemask_epi8(query));
  }
#endif
};

struct PlainStop {
  static bool At(char c) { return !Has(c, kPlain); }
#if defined(RINGWAY_SSE2)
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

// What nearly all names of fields consist of: letters and "-".
struct NameStop {
  static bool At(char c) { return !((Lower(c) >= 'a' && Lower(c) <= 'z') || c == '-'); }
#if defined(RINGWAY_SSE2)
  static uint32_t Mask(__m128i v) {
    // Moved up so that "z" is the greatest signed byte: letters are then all above what was before "a".
    const __m128i moved = _mm_add_epi8(_mm_or_si128(v, _mm_set1_epi8(0x20)), _mm_set1_epi8(127 - 'z'));
    const __m128i letters = _mm_cmpgt_epi8(moved, _mm_set1_epi8(127 - 26));
    const __m128i dash = _mm_cmpeq_epi8(v, _mm_set1_epi8('-'));
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_or_si128(letters, dash))) ^ 0xffff;
  }
#endif
};

#if defined(RINGWAY_SSE2)
inline __m128i Load16(const char* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(static_cast<const void*>(p)));
}
#endif

// The first byte of [p, in.end) that Stop stops at, or in.end. p is within `in`.
template <typename Stop>
[[gnu::always_inline]] inline const char* Find(const Input& in, const char* p) {
#if defined(RINGWAY_SSE2)
  for (; in.end - p >= 16; p += 16) {
    const uint32_t mask = Stop::Mask(Load16(p));
    if (mask != 0) [[likely]] return p + std::countr_zero(mask);
  }
  if (in.end - in.begin >= 16) {  // the last bytes, with some before p, which are shifted out
    const uint32_t mask = Stop::Mask(Load16(in.end - 16)) >> (16 - (in.end - p));
    return mask != 0 ? p + std::countr_zero(mask) : in.end;
  }
#endif
  while (p != in.end && !Stop::At(*p)) ++p;
  return p;
}

inline const char* FindTokenEnd(const Input& in, const char* p) {
  p = Find<NameStop>(in, p);
  while (p != in.end && Has(*p, kToken)) ++p;
  return p;
}

// Where an input's control bytes are, HTAB among them: 64 bytes are searched at once, and what was found is kept as a bit
// each, so that one search serves several lines.
class ControlScan {
 public:
  // `p` is within `in`; Next is not asked for what is before it.
  [[gnu::always_inline]] ControlScan(const Input& in, const char* p) : in_(in), window_(p) { Search(); }

  // The first control byte of [p, in.end), or in.end. From one call to the next `p` does not go back.
  [[gnu::always_inline]] const char* Next(const char* p) {
    for (;;) {
      const auto at = static_cast<size_t>(p - window_);
      if (at < kWindow) [[likely]] {
        const uint64_t bits = bits_ >> at;
        if (bits != 0) [[likely]] return p + std::countr_zero(bits);
        if (in_.end - window_ <= int64_t{kWindow}) return in_.end;
        p = window_ + kWindow;
      }
      window_ = p;
      Search();
    }
  }

 private:
  static constexpr size_t kWindow = 64;

  static bool At(char c) { return Has(c, kControl) || c == '\t'; }
#if defined(RINGWAY_SSE2)
  static uint64_t Mask(const char* p) {
    const __m128i v = Load16(p);
    // Moved up so that 0x1f is the greatest signed byte, as in NameStop.
    const __m128i low = _mm_cmpgt_epi8(_mm_add_epi8(v, _mm_set1_epi8(127 - 0x1f)), _mm_set1_epi8(127 - 0x20));
    const __m128i del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_or_si128(low, del)));
  }
#endif

  // Bit i is byte i of the window.
  [[gnu::always_inline]] void Search() {
    const char* const w = window_;
    const auto left = static_cast<size_t>(in_.end - w);
#if defined(RINGWAY_SSE2)
    if (left >= kWindow) {
      bits_ = Mask(w) | Mask(w + 16) << 16 | Mask(w + 32) << 32 | Mask(w + 48) << 48;
      return;
    }
    if (in_.end - in_.begin >= 16) {
      uint64_t bits = 0;
      size_t at = 0;
      for (; left - at >= 16; at += 16) bits |= Mask(w + at) << at;
      // The last bytes, with some before them, which are shifted out.
      if (at < left) bits |= Mask(in_.end - 16) >> (16 - (left - at)) << at;
      bits_ = bits;
      return;
    }
#endif
    bits_ = 0;
    for (size_t at = 0; at < left && at < kWindow; ++at) bits_ |= uint64_t{At(w[at])} << at;
  }

  const Input in_;
  const char* window_;
  uint64_t bits_ = 0;
};

}  // namespace ringway::dp::http
