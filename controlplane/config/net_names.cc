// See net_names.h.
#include "controlplane/config/net_names.h"

#include <arpa/inet.h>

#include <charconv>

namespace ringway::cp {
namespace {

bool Parses(int family, std::string_view text) {
  unsigned char bytes[16];
  return inet_pton(family, std::string(text).c_str(), bytes) == 1;
}

template <typename Number>
bool ParseNumber(std::string_view text, Number max, Number& out) {
  if (text.empty() || text.size() > 5) return false;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return false;
  out = static_cast<Number>(value);
  return true;
}

bool IsWildcard(const HostPort& socket) { return socket.address == "0.0.0.0" || socket.address == "::"; }

}  // namespace

bool IsIpLiteral(std::string_view text) { return Parses(AF_INET, text) || Parses(AF_INET6, text); }

std::optional<HostPort> ParseHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view address = text.substr(0, colon);
  HostPort socket;
  socket.v6 = address.size() > 2 && address.front() == '[' && address.back() == ']';
  if (socket.v6) address = address.substr(1, address.size() - 2);
  if (!Parses(socket.v6 ? AF_INET6 : AF_INET, address)) return std::nullopt;
  if (!ParseNumber<uint16_t>(text.substr(colon + 1), 65535, socket.port) || socket.port == 0) return std::nullopt;
  socket.address = std::string(address);
  return socket;
}

bool IsCidr(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return IsIpLiteral(text);
  const std::string_view address = text.substr(0, slash);
  uint8_t bits = 0;
  if (Parses(AF_INET, address)) return ParseNumber<uint8_t>(text.substr(slash + 1), 32, bits);
  return Parses(AF_INET6, address) && ParseNumber<uint8_t>(text.substr(slash + 1), 128, bits);
}

std::string FormatHostPort(std::string_view address, uint16_t port) {
  const bool v6 = address.find(':') != std::string_view::npos;
  return (v6 ? "[" + std::string(address) + "]" : std::string(address)) + ":" + std::to_string(port);
}

bool BindsClash(std::string_view a, std::string_view b) {
  const auto left = ParseHostPort(a);
  const auto right = ParseHostPort(b);
  if (!left || !right || left->port != right->port) return false;
  return left->address == right->address || IsWildcard(*left) || IsWildcard(*right);
}

}  // namespace ringway::cp
