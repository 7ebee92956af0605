// An IP address with its port as the hot path carries it: no sockaddr, no text. The edges (uring/, feed/) convert.
#pragma once

#include <array>
#include <cstdint>

namespace ringway::dp {

struct IpAddress {
  std::array<uint8_t, 16> bytes{};  // network order; IPv4 in the first four
  uint16_t port = 0;                // host order
  bool v6 = false;
  bool operator==(const IpAddress&) const = default;
};

inline constexpr uint32_t kIpTextMax = 45;

// Writes the address without its port (RFC 5952 for IPv6; IPv4-mapped as IPv4) and returns the length. `out` holds kIpTextMax.
uint32_t FormatIp(const IpAddress& address, char* out);

// An address block of trusted proxies: the first `bits` bits of `address`.
struct IpBlock {
  IpAddress address;
  uint8_t bits = 0;
};
bool BlockContains(const IpBlock& block, const IpAddress& address);

}  // namespace ringway::dp
