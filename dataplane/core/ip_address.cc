#include "dataplane/core/ip_address.h"

#include <cstdio>
#include <cstring>

namespace ringway::dp {
namespace {

// A byte in decimal with a dot behind it: its text, and how long that is.
struct Decimal {
  char text[4];
  uint32_t size;
};
constexpr std::array<Decimal, 256> kDecimals = [] {
  std::array<Decimal, 256> all{};
  for (uint32_t b = 0; b < 256; ++b) {
    Decimal& d = all[b];
    if (b >= 100) d.text[d.size++] = static_cast<char>('0' + b / 100);
    if (b >= 10) d.text[d.size++] = static_cast<char>('0' + b / 10 % 10);
    d.text[d.size++] = static_cast<char>('0' + b % 10);
    d.text[d.size++] = '.';
  }
  return all;
}();

// Each byte is written with all of its text's room: what is too much is overwritten by the next.
uint32_t WriteV4(const uint8_t* bytes, char* out) {
  char* p = out;
  for (int i = 0; i < 4; ++i) {
    const Decimal& d = kDecimals[bytes[i]];
    std::memcpy(p, d.text, sizeof d.text);
    p += d.size;
  }
  return static_cast<uint32_t>(p - out) - 1;
}

// RFC 5952 section 4: the longest run of two or more zero groups becomes "::", the first of equals.
uint32_t WriteV6(const uint8_t* bytes, char* out) {
  std::array<uint16_t, 8> group;
  for (size_t i = 0; i < 8; ++i) group[i] = static_cast<uint16_t>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  size_t run_at = 8, run = 1;
  for (size_t i = 0; i < 8; ++i) {
    size_t end = i;
    while (end < 8 && group[end] == 0) ++end;
    if (end - i > run) run_at = i, run = end - i;
    if (end > i) i = end - 1;
  }
  char* p = out;
  for (size_t i = 0; i < 8;) {
    if (i == run_at) {
      *p++ = ':';
      *p++ = ':';
      i += run;
      continue;
    }
    if (i > 0 && p[-1] != ':') *p++ = ':';
    p += std::snprintf(p, 5, "%x", group[i]);
    ++i;
  }
  return static_cast<uint32_t>(p - out);
}

}  // namespace

uint32_t FormatIp(const IpAddress& address, char* out) {
  static constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!address.v6) return WriteV4(address.bytes.data(), out);
  if (std::memcmp(address.bytes.data(), kMapped.data(), kMapped.size()) == 0) {
    return WriteV4(address.bytes.data() + 12, out);
  }
  char text[kIpTextMax + 1];
  const uint32_t size = WriteV6(address.bytes.data(), text);
  std::memcpy(out, text, size);
  return size;
}

bool BlockContains(const IpBlock& block, const IpAddress& address) {
  if (block.address.v6 != address.v6) return false;
  const uint32_t whole = block.bits / 8;
  if (std::memcmp(block.address.bytes.data(), address.bytes.data(), whole) != 0) return false;
  const uint32_t rest = block.bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - rest));
  return (block.address.bytes[whole] & mask) == (address.bytes[whole] & mask);
}

}  // namespace ringway::dp
