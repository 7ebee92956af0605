// Lower case through the C library's C.UTF-8 tables, which every glibc since 2.35 has built in.
#include "controlplane/catalog/fold.h"

#include <locale.h>
#include <wctype.h>

#include <cstddef>
#include <cstdint>

namespace ringway::cp {
namespace {

locale_t Utf8Locale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

// Length of the sequence that starts at `text`, 0 when it is not well-formed; the code point goes
// to `point`.
size_t Decode(std::string_view text, uint32_t& point) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const size_t length = lead < 0x80         ? 1
                        : (lead >> 5) == 6  ? 2
                        : (lead >> 4) == 14 ? 3
                        : (lead >> 3) == 30 ? 4
                                            : 0;
  if (length == 0 || length > text.size()) return 0;
  point = length == 1 ? lead : lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    point = (point << 6) | (byte(i) & 0x3Fu);
  }
  return length;
}

void Encode(uint32_t point, std::string& out) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

}  // namespace

std::string Fold(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    uint32_t point = 0;
    const size_t length = Decode(text, point);
    if (length == 0) {
      out += text[0];
      text.remove_prefix(1);
      continue;
    }
    if (point < 0x80) {
      out +=
          point >= 'A' && point <= 'Z' ? static_cast<char>(point + 32) : static_cast<char>(point);
    } else {
      const locale_t locale = Utf8Locale();
      Encode(locale == nullptr
                 ? point
                 : static_cast<uint32_t>(towlower_l(static_cast<wint_t>(point), locale)),
             out);
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace ringway::cp
