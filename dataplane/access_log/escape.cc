// See escape.h.
#include "dataplane/access_log/escape.h"

#include <cstdint>

namespace ringway::dp {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr char kUpperHex[] = "0123456789ABCDEF";

bool IsPlain(unsigned char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

// How many bytes at `at` are one well-formed UTF-8 character beyond ASCII (RFC 3629 section 4); 0: none.
size_t Utf8Size(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0; };
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
  for (size_t i = 0; i < text.size();) {
    size_t plain = i;
    while (plain < text.size() && IsPlain(static_cast<unsigned char>(text[plain]))) ++plain;
    out.append(text, i, plain - i);
    i = plain;
    if (i == text.size()) break;
    const auto c = static_cast<unsigned char>(text[i]);
    if (const size_t size = c >= 0x80 ? Utf8Size(text, i) : 0; size != 0) {
      out.append(text, i, size);
      i += size;
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
    ++i;
  }
  out += '"';
}

void AppendQuotable(std::string_view text, std::string& out) {
  for (const char one : text) {
    const auto c = static_cast<unsigned char>(one);
    if (IsPlain(c)) {
      out += one;
      continue;
    }
    out += "\\x";
    out += kUpperHex[c >> 4];
    out += kUpperHex[c & 15];
  }
}

}  // namespace ringway::dp
