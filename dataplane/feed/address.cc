// Text to addresses; see address.h.
#include "dataplane/feed/address.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ringway::dp {
namespace {

bool ParseNumber(std::string_view text, uint32_t max, uint32_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return !text.empty() && error == std::errc() && end == text.data() + text.size() && out <= max;
}

absl::Status Wanted(std::string_view wanted, std::string_view got) {
  return absl::InvalidArgumentError(
      absl::StrCat("wanted ", std::string(wanted), ", got \"", std::string(got), "\""));
}

}  // namespace

absl::StatusOr<IpAddress> ParseIp(std::string_view text, uint16_t port) {
  IpAddress address;
  address.port = port;
  address.v6 = text.find(':') != text.npos;
  const std::string terminated(text);
  if (inet_pton(address.v6 ? AF_INET6 : AF_INET, terminated.c_str(), address.bytes.data()) != 1) {
    return Wanted("an IPv4 or IPv6 address", text);
  }
  return address;
}

absl::StatusOr<IpAddress> ParseBind(std::string_view text) {
  constexpr std::string_view kForm = "ADDRESS:PORT or [ADDRESS]:PORT";
  const size_t colon = text.rfind(':');
  uint32_t port = 0;
  if (colon == text.npos || !ParseNumber(text.substr(colon + 1), 65535, port)) return Wanted(kForm, text);
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  absl::StatusOr<IpAddress> address = ParseIp(host, static_cast<uint16_t>(port));
  if (!address.ok() || address->v6 != bracketed) return Wanted(kForm, text);
  return address;
}

absl::StatusOr<IpBlock> ParseBlock(std::string_view text) {
  const size_t slash = text.find('/');
  absl::StatusOr<IpAddress> address = ParseIp(text.substr(0, slash), 0);
  if (!address.ok()) return Wanted("ADDRESS/BITS", text);
  uint32_t bits = address->v6 ? 128 : 32;
  if (slash != text.npos && !ParseNumber(text.substr(slash + 1), bits, bits)) {
    return Wanted("ADDRESS/BITS", text);
  }
  return IpBlock{*address, static_cast<uint8_t>(bits)};
}

socklen_t ToSockaddr(const IpAddress& address, sockaddr_storage& out) {
  out = {};
  if (address.v6) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    std::memcpy(&v6->sin6_addr, address.bytes.data(), 16);
    return sizeof(*v6);
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out);
  v4->sin_family = AF_INET;
  v4->sin_port = htons(address.port);
  std::memcpy(&v4->sin_addr, address.bytes.data(), 4);
  return sizeof(*v4);
}

IpAddress FromSockaddr(const sockaddr_storage& storage) {
  IpAddress address;
  if (storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    address.v6 = true;
    address.port = ntohs(v6->sin6_port);
    std::memcpy(address.bytes.data(), &v6->sin6_addr, 16);
  } else {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    address.port = ntohs(v4->sin_port);
    std::memcpy(address.bytes.data(), &v4->sin_addr, 4);
  }
  return address;
}

std::string SpellAddress(const IpAddress& address) {
  char text[kIpTextMax];
  const std::string ip(text, FormatIp(address, text));
  return ip.find(':') == ip.npos ? absl::StrCat(ip, ":", address.port)
                                 : absl::StrCat("[", ip, "]:", address.port);
}

}  // namespace ringway::dp
