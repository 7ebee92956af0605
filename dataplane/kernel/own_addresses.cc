// See own_addresses.h; getifaddrs(3).
#include "dataplane/kernel/own_addresses.h"

#include <ifaddrs.h>
#include <net/if.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>

#include "dataplane/feed/address.h"

namespace ringway::dp {

std::vector<IpAddress> OwnAddresses(bool v6, uint16_t port) {
  std::vector<IpAddress> addresses;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return addresses;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != (v6 ? AF_INET6 : AF_INET) || (entry->ifa_flags & IFF_UP) == 0) continue;
    sockaddr_storage storage{};
    std::memcpy(&storage, entry->ifa_addr, v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in));
    IpAddress address = FromSockaddr(storage);
    address.port = port;
    const bool link_local = v6 && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
    if (!link_local) addresses.push_back(address);
  }
  freeifaddrs(list);
  std::sort(addresses.begin(), addresses.end(), [](const IpAddress& a, const IpAddress& b) { return a.bytes < b.bytes; });
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

std::string CgroupRoot() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string device, where, type;
    fields >> device >> where >> type;
    if (type == "cgroup2") return where;
  }
  return "";
}

}  // namespace ringway::dp
