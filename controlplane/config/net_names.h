// Addresses as the config writes them. IP literals only: Ringway resolves no names, so that a pool never depends on DNS.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ringway::cp {

struct HostPort {
  std::string address;  // without brackets
  uint16_t port = 0;
  bool v6 = false;
};

bool IsIpLiteral(std::string_view text);
// "10.0.0.5:80", "[::1]:80"; nullopt for anything else, port 0 included.
std::optional<HostPort> ParseHostPort(std::string_view text);
// "10.0.0.0/8", "::1/128", or a bare address.
bool IsCidr(std::string_view text);
// "10.0.0.5:80" or "[::1]:80".
std::string FormatHostPort(std::string_view address, uint16_t port);
// Would two sockets with these binds collide? Same port, and the same address or one of them a wildcard.
bool BindsClash(std::string_view a, std::string_view b);

}  // namespace ringway::cp
