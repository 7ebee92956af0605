// The searches that the head parser is made of: sixteen bytes a step where SSE2 is, one a step elsewhere (RINGWAY_NO_SIMD has
// that everywhere, for a test), never a read outside of the input. Pure functions, any thread.
#pragma once

#include <algorithm>
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
    // Moved up so that a range's last is the greatest signed byte: the range is then all above what was before its first.
    const __m128i letter = _mm_add_epi8(_mm_or_si128(v, _mm_set1_epi8(0x20)), _mm_set1_epi8(127 - 'z'));
    const __m128i other = _mm_add_epi8(v, _mm_set1_epi8(127 - '9'));  // "-", ".", "/", digits
    const __m128i letters = _mm_cmpgt_epi8(letter, _mm_set1_epi8(127 - 26));
    const __m128i others = _mm_cmpgt_epi8(other, _mm_set1_epi8(127 - ('9' - '-' + 1)));
    const __m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('/'));
    const __m128i good = _mm_or_si128(letters, _mm_andnot_si128(slash, others));
    return static_cast<uint32_t>(_mm_movemask_epi8(good)) ^ 0xffff;
  }
#endif
};

// What nearly all names of fields consist of: letters and "-".
struct NameStop {
  static bool At(char c) { return !((Lower(c) >= 'a' && Lower(c) <= 'z') || c == '-'); }
#if defined(RINGWAY_SSE2)
  static uint32_t Mask(__m128i v) {
    // As in PlainStop.
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

// The place of the first bit that is set: one is.
inline uint32_t First(uint32_t bits) { return static_cast<uint32_t>(std::countr_zero(bits)); }
inline uint32_t First(uint64_t bits) { return static_cast<uint32_t>(std::countr_zero(bits)); }

template <typename Stop>
[[gnu::noinline]] const char* FindOn(const Input in, const char* p) {
#if defined(RINGWAY_SSE2)
  for (; in.end - p >= 16; p += 16) {
    const uint32_t mask = Stop::Mask(Load16(p));
    if (mask != 0) return p + First(mask);
  }
  if (in.end - in.begin >= 16) {  // the last bytes, with some before p, which are shifted out
    const uint32_t mask = Stop::Mask(Load16(in.end - 16)) >> (16 - (in.end - p));
    return mask != 0 ? p + First(mask) : in.end;
  }
#endif
  while (p != in.end && !Stop::At(*p)) ++p;
  return p;
}

// The first byte of [p, in.end) that Stop stops at, or in.end. p is within `in`. Nearly always it is one of the first sixteen:
// only these are looked at in place.
template <typename Stop>
[[gnu::always_inline]] inline const char* Find(const Input& in, const char* p) {
#if defined(RINGWAY_SSE2)
  const char* const wide_last = in.end - 16;  // where the last sixteen begin
  if (p <= wide_last) [[likely]] {
    const uint32_t mask = Stop::Mask(Load16(p));
    if (mask != 0) [[likely]] return p + First(mask);
  } else if (wide_last >= in.begin) {  // with some before p, which are shifted out
    const uint32_t mask = Stop::Mask(Load16(wide_last)) >> (p - wide_last);
    if (mask != 0) [[likely]] return p + First(mask);
  }
#endif
  return FindOn<Stop>(in, p);
}

inline const char* FindTokenEnd(const Input& in, const char* p) {
  p = Find<NameStop>(in, p);
  while (p != in.end && Has(*p, kToken)) ++p;
  return p;
}

// Where an input's control bytes are, HTAB among them: 64 bytes are searched at once, and what was found is kept as a bit
// each, so that one search serves several lines. The last byte of the input is left out: no line ends with its first half.
class ControlScan {
 public:
  // `p` is within `in`, which is not empty; nothing before it is asked for.
  [[gnu::always_inline]] ControlScan(const Input& in, const char* p) : begin_(in.begin), end_(in.end - 1) { Search(p); }

  // The first control byte from `p` on as `at`, which has one behind it; false when there is none. Never asked to go back.
  [[gnu::always_inline]] bool Next(const char* p, const char*& at) {
    for (;;) {
      const auto offset = static_cast<size_t>(p - window_);
      if (offset < kWindow) [[likely]] {
        const uint64_t bits = bits_ >> offset;
        if (bits != 0) [[likely]] {
          at = p + First(bits);
          return true;
        }
      }
      if (end_ - window_ <= int64_t{kWindow}) return false;
      p = std::max(p, window_ + kWindow);
      Search(p);
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

  // A window that holds `p`; bit i is its byte i. The last one of an input ends where the input does, with some before `p`.
  [[gnu::always_inline]] void Search(const char* p) {
#if defined(RINGWAY_SSE2)
    if (end_ - begin_ >= int64_t{kWindow}) [[likely]] {
      const char* const w = std::min(p, end_ - kWindow);
      window_ = w;
      bits_ = Mask(w) | Mask(w + 16) << 16 | Mask(w + 32) << 32 | Mask(w + 48) << 48;
      return;
    }
#endif
    window_ = p;
    bits_ = SearchShort(begin_, p, end_);
  }

  // Fewer bytes than a window, or no vectors.
  [[gnu::noinline]] static uint64_t SearchShort([[maybe_unused]] const char* begin, const char* p, const char* end) {
    uint64_t bits = 0;
    const auto left = static_cast<size_t>(std::max<ptrdiff_t>(end - p, 0));
    size_t at = 0;
#if defined(RINGWAY_SSE2)
    for (; left - at >= 16; at += 16) bits |= Mask(p + at) << at;
    if (at < left && end - begin >= 16) {  // the last bytes, with some before them, which are shifted out
      return bits | Mask(end - 16) >> (16 - (left - at)) << at;
    }
#endif
    for (; at < left && at < kWindow; ++at) bits |= uint64_t{At(p[at])} << at;
    return bits;
  }

  const char* const begin_;
  const char* const end_;
  const char* window_;
  uint64_t bits_;
};

}  // namespace ringway::dp::http
