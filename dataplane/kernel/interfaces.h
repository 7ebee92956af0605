// This host's interfaces, addresses and ways, as far as packet delivery needs them; looked at again when the kernel tells of a
// change (rtnetlink(7)) and every ten seconds. One thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/api/feed.h"
#include "dataplane/core/ip_address.h"
#include "dataplane/feed/listener_sockets.h"
#include "dataplane/kernel/route.h"

namespace ringway::dp {

struct Interface {
  std::string name;
  uint32_t index = 0;
  bool up = false;
  bool loopback = false;
  bool bridged = false;    // a port of a bridge or bond: its packets are its master's
  bool addressed = false;  // has an IPv4 address, or an IPv6 one beyond link-local
  bool ethernet = true;    // its packets have an Ethernet header: the programs read what is behind one
  bool operator==(const Interface&) const = default;
};

// Those that `wanted` asks for, with their mode; the first name that fits decides. Without names: those with an address and
// `ways`, by which endpoints are reached. None without an Ethernet header. Pure.
std::vector<std::pair<Interface, api::PacketMode>> ChooseInterfaces(const std::vector<Interface>& all, const std::vector<api::PacketInterface>& wanted,
                                                                    const std::set<uint32_t>& ways);
// Names of those that would be chosen if they had an Ethernet header. Pure.
std::vector<std::string> HeaderlessInterfaces(const std::vector<Interface>& all, const std::vector<api::PacketInterface>& wanted, const std::set<uint32_t>& ways);
// Those that `wanted` never leads to, by index, and why answers that come in by them are not seen. Pure.
std::map<uint32_t, std::string> UnheardInterfaces(const std::vector<Interface>& all, const std::vector<api::PacketInterface>& wanted);
// Names of `wanted` without '*' that no interface has. Pure.
std::vector<std::string> MissingInterfaces(const std::vector<Interface>& all, const std::vector<api::PacketInterface>& wanted);

class Interfaces {
 public:
  using Clock = std::chrono::steady_clock;
  Interfaces();

  // True when something may have changed since the last call that said so: all the rest is then of now. However fast routes
  // change, four times a second at most.
  bool Look(Clock::time_point now);
  const std::vector<Interface>& all() const { return all_; }
  // This host's own, loopback and link-local aside.
  const std::vector<IpAddress>& addresses() const { return addresses_; }
  // The way to `to`, its port aside; asked for once until the next change, as the next two are.
  const Route& RouteOf(const IpAddress& to);
  // The address by which this host reaches `to` (routing's choice); zeroes when there is no way.
  IpAddress Source(const IpAddress& to);
  // The interface whose other end, a container's, packets to `to` may be handed to at once (veth_peer.h); 0: none.
  uint32_t Peer(const IpAddress& to);
  // net.ipv4.ip_forward or net.ipv6.conf.all.forwarding is off.
  static bool ForwardingOff(bool v6);

 private:
  using Key = std::pair<bool, std::array<uint8_t, 16>>;
  static Key KeyOf(const IpAddress& address) { return {address.v6, address.bytes}; }
  void Read();

  UniqueFd netlink_;
  Clock::time_point looked_{};
  bool told_ = false;  // of a change that was not looked at yet
  std::vector<Interface> all_;
  std::vector<IpAddress> addresses_;
  std::set<uint32_t> to_containers_;          // veths whose other end is in another network namespace, no port of a bridge
  std::map<Key, IpAddress> sources_;          // until the next change
  std::map<Key, Route> routes_;               // likewise
};

}  // namespace ringway::dp
