// See escape.h.
#include "dataplane/access_log/escape.h"

#include <cstdint>

#include "dataplane/core/http_scan.h"

namespace ringway::dp {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr char kUpperHex[] = "0123456789ABCDEF";

// What neither format takes as it is.
struct UnplainStop {
  static bool At(char c) { return static_cast<signed char>(c) < 0x20 || c == 0x7f || c == '"' || c == '\\'; }  // bytes from 0x80 on are below 0
#if defined(RINGWAY_SSE2)
  static uint32_t Mask(__m128i v) {
    const __m128i outside = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)), _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
    const __m128i quoting = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_or_si128(outside, quoting)));
  }
#endif
};

// Appends what is plain from `p` on; the end of that.
const char* AppendPlain(const http::Input& in, const char* p, std::string& out) {
  const char* const end = http::Find<UnplainStop>(in, p);
  out.append(p, end);
  return end;
}

// How many bytes at the beginning of `text` are one well-formed UTF-8 character beyond ASCII (RFC 3629 section 4); 0: none.
size_t Utf8Size(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  const auto tail = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned char first = static_cast<unsigned char>(byte(0)), second = static_cast<unsigned char>(byte(1));
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool overlong = first == 0xe0 && second < 0xa0;
    const bool surrogate = first == 0xed && second > 0x9f;
    return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool overlong = first == 0xf0 && second < 0x90;
    const bool beyond = first == 0xf4 && second > 0x8f;
    return tail(1) && tail(2) && tail(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

}  // namespace

void AppendJsonString(std::string_view text, std::string& out) {
  out += '"';
  if (!text.empty()) {  // an empty one may have no address
    const http::Input in{text.data(), text.data() + text.size()};
    for (const char* p = AppendPlain(in, in.begin, out); p != in.end; p = AppendPlain(in, p, out)) {
      const auto c = static_cast<unsigned char>(*p);
      if (const size_t size = Utf8Size({p, static_cast<size_t>(in.end - p)}); size != 0) {
        out.append(p, size);
        p += size;
        continue;
      }
      if (c == '"' || c == '\\') {
        out += '\\';
        out += static_cast<char>(c);
      } else {
        out += "\\u00";
        out += kHex[c >> 4];
        out += kHex[c & 15];
      }
      ++p;
    }
  }
  out += '"';
}

void AppendQuotable(std::string_view text, std::string& out) {
  if (text.empty()) return;
  const http::Input in{text.data(), text.data() + text.size()};
  for (const char* p = AppendPlain(in, in.begin, out); p != in.end; p = AppendPlain(in, p + 1, out)) {
    const auto c = static_cast<unsigned char>(*p);
    out += "\\x";
    out += kUpperHex[c >> 4];
    out += kUpperHex[c & 15];
  }
}

}  // namespace ringway::dp
