// Text to addresses for the cold side: endpoints, binds and blocks of trusted proxies, as the feed spells them.
#pragma once

#include <netinet/in.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "dataplane/core/ip_address.h"

namespace ringway::dp {

// An IPv4 or IPv6 literal (inet_pton), never a name. The message says what was wanted.
absl::StatusOr<IpAddress> ParseIp(std::string_view text, uint16_t port);
// "ADDRESS:PORT" or "[V6]:PORT"; port 1..65535, or 0 where a test takes a free one.
absl::StatusOr<IpAddress> ParseBind(std::string_view text);
// "ADDRESS/BITS", or an address alone for itself.
absl::StatusOr<IpBlock> ParseBlock(std::string_view text);

// For bind(2): returns the length.
socklen_t ToSockaddr(const IpAddress& address, sockaddr_storage& out);
IpAddress FromSockaddr(const sockaddr_storage& storage);
// "1.2.3.4:80" or "[::1]:80".
std::string SpellAddress(const IpAddress& address);

}  // namespace ringway::dp
