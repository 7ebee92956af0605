// See interfaces.h.
#include "dataplane/kernel/interfaces.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/feed/address.h"
#include "dataplane/kernel/veth_peer.h"

namespace ringway::dp {
namespace {

constexpr std::chrono::seconds kLookEvery{10};  // routes may change without a word that we listen to
constexpr std::chrono::milliseconds kLookRest{250};  // a router's changes come by the hundred

bool Fits(const std::string& pattern, const std::string& name) {
  if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == name;
}

UniqueFd Listen() {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (fd.get() >= 0 && bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return UniqueFd();
  return fd;
}

bool Drain(int fd) {
  char buffer[8192];
  bool any = false;
  for (;;) {
    const ssize_t size = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (size < 0 && errno != ENOBUFS) return any;  // ENOBUFS: some were lost, there were some
    any = true;
  }
}

bool HasMaster(const std::string& name) { return access(("/sys/class/net/" + name + "/master").c_str(), F_OK) == 0; }

bool LinkLocal(const IpAddress& address) {
  if (address.v6) return address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
  return address.bytes[0] == 169 && address.bytes[1] == 254;
}

bool Loopback(const IpAddress& address) {
  if (!address.v6) return address.bytes[0] == 127;
  return std::all_of(address.bytes.begin(), address.bytes.end() - 1, [](uint8_t b) { return b == 0; }) && address.bytes[15] == 1;
}

std::optional<IpAddress> AddressOf(const ifaddrs& entry) {
  if (entry.ifa_addr == nullptr || (entry.ifa_addr->sa_family != AF_INET && entry.ifa_addr->sa_family != AF_INET6)) return std::nullopt;
  sockaddr_storage storage{};
  std::memcpy(&storage, entry.ifa_addr, entry.ifa_addr->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  IpAddress address = FromSockaddr(storage);
  address.port = 0;
  return address;
}

// An IPv4 address may have a label and is then listed under that. The kernel takes "eth0:1" for eth0; of other labels, which may be
// any word, the address's own route knows the interface.
uint32_t IndexOf(const ifaddrs& entry, const std::optional<IpAddress>& address) {
  const uint32_t index = if_nametoindex(entry.ifa_name);
  if (index != 0 || !address) return index;
  const Route own = RouteTo(*address);
  return own.out.size() == 1 ? own.out.front() : 0;
}

// The mode in which it is asked for, if it is.
std::optional<api::PacketMode> AskedFor(const Interface& interface, const std::vector<api::PacketInterface>& wanted, const std::set<uint32_t>& ways) {
  if (!interface.up) return std::nullopt;
  if (wanted.empty()) {
    const bool used = interface.addressed || ways.contains(interface.index);
    return used && !interface.loopback && !interface.bridged ? std::optional(api::PacketMode::kAuto) : std::nullopt;
  }
  const auto named = std::find_if(wanted.begin(), wanted.end(), [&](const api::PacketInterface& w) { return Fits(w.name, interface.name); });
  return named != wanted.end() ? std::optional(named->mode) : std::nullopt;
}

// A loopback's packets have the header, of zeroes. Where there is no address of the link, there is no header.
bool HasEthernetHeader(const sockaddr* address) {
  sockaddr_ll link{};
  std::memcpy(&link, address, sizeof(link));
  return link.sll_hatype == ARPHRD_ETHER || link.sll_hatype == ARPHRD_LOOPBACK;
}

}  // namespace

std::vector<std::pair<Interface, api::PacketMode>> ChooseInterfaces(const std::vector<Interface>& all, const std::vector<api::PacketInterface>& wanted,
                                                                    const std::set<uint32_t>& ways) {
  std::vector<std::pair<Interface, api::PacketMode>> chosen;
  for (const Interface& interface : all) {
    const std::optional<api::PacketMode> mode = AskedFor(interface, wanted, ways);
    if (mode && interface.ethernet) chosen.emplace_back(interface, *mode);
  }
  return chosen;
}

std::vector<std::string> HeaderlessInterfaces(const std::vector<Interface>& all, const std::vector<api::PacketInterface>& wanted, const std::set<uint32_t>& ways) {
  std::vector<std::string> names;
  for (const Interface& interface : all) {
    if (!interface.ethernet && AskedFor(interface, wanted, ways)) names.push_back(interface.name);
  }
  return names;
}

std::map<uint32_t, std::string> UnheardInterfaces(const std::vector<Interface>& all, const std::vector<api::PacketInterface>& wanted) {
  std::map<uint32_t, std::string> unheard;
  for (const Interface& interface : all) {
    if (!interface.up) continue;  // no route leads there
    if (!interface.ethernet) {
      unheard[interface.index] = absl::StrCat("its answers come in by ", interface.name, " without an Ethernet header, and are not seen; proxy and connect reach it");
    } else if (!wanted.empty() && !AskedFor(interface, wanted, {})) {
      unheard[interface.index] = absl::StrCat("its answers come in by ", interface.name, ", which packet.interfaces leaves out: add \"", interface.name, "\"");
    } else if (wanted.empty() && interface.bridged) {
      unheard[interface.index] = absl::StrCat("its answers come in by ", interface.name, ", a port of another interface; they are not seen unless packet.interfaces names it");
    }
  }
  return unheard;
}

std::vector<std::string> MissingInterfaces(const std::vector<Interface>& all, const std::vector<api::PacketInterface>& wanted) {
  std::vector<std::string> missing;
  for (const api::PacketInterface& one : wanted) {
    const bool there = std::any_of(all.begin(), all.end(), [&](const Interface& interface) { return interface.up && Fits(one.name, interface.name); });
    if (!there && !one.name.ends_with('*')) missing.push_back(one.name);
  }
  return missing;
}

Interfaces::Interfaces() : netlink_(Listen()) {}

bool Interfaces::Look(Clock::time_point now) {
  if (netlink_.get() >= 0 && Drain(netlink_.get())) told_ = true;
  const bool first = looked_ == Clock::time_point{};
  if (!first && now - looked_ < (told_ ? Clock::duration(kLookRest) : Clock::duration(kLookEvery))) return false;
  looked_ = now;
  told_ = false;
  Read();
  return true;
}

void Interfaces::Read() {
  all_.clear();
  addresses_.clear();
  sources_.clear();
  routes_.clear();
  to_containers_.clear();
  std::map<uint32_t, Interface> by_index;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return;
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    const std::optional<IpAddress> address = AddressOf(*at);
    const auto [known, fresh] = by_index.try_emplace(IndexOf(*at, address));
    Interface& interface = known->second;
    if (fresh) interface.ethernet = false;
    interface.up = (at->ifa_flags & IFF_UP) != 0;
    interface.loopback = (at->ifa_flags & IFF_LOOPBACK) != 0;
    if (at->ifa_addr != nullptr && at->ifa_addr->sa_family == AF_PACKET) interface.ethernet = HasEthernetHeader(at->ifa_addr);
    if (!address || Loopback(*address) || LinkLocal(*address)) continue;
    interface.addressed = true;
    if (std::find(addresses_.begin(), addresses_.end(), *address) == addresses_.end()) addresses_.push_back(*address);
  }
  freeifaddrs(list);
  for (auto& [index, interface] : by_index) {
    char name[IF_NAMESIZE];
    if (if_indextoname(index, name) == nullptr) continue;
    interface.index = index;
    interface.name = name;
    interface.bridged = HasMaster(interface.name);
    all_.push_back(interface);
    if (interface.up && !interface.loopback && !interface.bridged && IsVethToElsewhere(interface.index)) to_containers_.insert(interface.index);
  }
}

const Route& Interfaces::RouteOf(const IpAddress& to) {
  const auto [known, fresh] = routes_.try_emplace(KeyOf(to));
  if (fresh) known->second = RouteTo(to);
  return known->second;
}

// Connecting a UDP socket asks routing and sends nothing.
IpAddress Interfaces::Source(const IpAddress& to) {
  IpAddress source;
  source.v6 = to.v6;
  if (const auto known = sources_.find(KeyOf(to)); known != sources_.end()) return known->second;
  const UniqueFd fd(socket(to.v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage;
  IpAddress there = to;
  there.port = 9;
  const socklen_t size = ToSockaddr(there, storage);
  if (fd.get() >= 0 && connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) == 0) source = LocalAddress(fd.get());
  source.port = 0;
  sources_[KeyOf(to)] = source;
  return source;
}

uint32_t Interfaces::Peer(const IpAddress& to) {
  if (to_containers_.empty()) return 0;  // most hosts: containers are at bridges
  const Route& route = RouteOf(to);
  return route.host && to_containers_.contains(route.out.front()) ? route.out.front() : 0;
}

bool Interfaces::ForwardingOff(bool v6) {
  std::ifstream file(v6 ? "/proc/sys/net/ipv6/conf/all/forwarding" : "/proc/sys/net/ipv4/ip_forward");
  int value = 1;
  return (file >> value) && value == 0;
}

}  // namespace ringway::dp
