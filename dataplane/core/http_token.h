// Byte classes of HTTP/1 (RFC 9110 section 5.6, RFC 3986): a constant table, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace ringway::dp::http {

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
constexpr uint32_t DigitOf(char c) { return static_cast<uint8_t>(c) - uint32_t{'0'}; }  // above 9: it is none
constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

}  // namespace ringway::dp::http
