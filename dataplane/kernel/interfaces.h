// This host's interfaces, addresses and ways, as far as packet delivery needs them; looked at again when the kernel tells of a
// change (rtnetlink(7)) and every ten seconds. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/api/feed.h"
#include "dataplane/core/ip_address.h"
#include "dataplane/feed/listener_sockets.h"

namespace ringway::dp {

struct Interface {
  std::string name;
  uint32_t index = 0;
  bool up = false;
  bool loopback = false;
  bool bridged = false;    // a port of a bridge or bond: its packets are its master's
  bool addressed = false;  // has an IPv4 address, or an IPv6 one beyond link-local
  bool operator==(const Interface&) const = default;
};

// Those that `packet` asks for, with their mode; the first name that fits decides. Pure.
std::vector<std::pair<Interface, api::PacketMode>> ChooseInterfaces(const std::vector<Interface>& all, const std::vector<api::PacketInterface>& wanted);
// Names of `wanted` without '*' that no interface has. Pure.
std::vector<std::string> MissingInterfaces(const std::vector<Interface>& all, const std::vector<api::PacketInterface>& wanted);

class Interfaces {
 public:
  using Clock = std::chrono::steady_clock;
  Interfaces();

  // True when something may have changed since the last call that said so: all() and Source() are then of now.
  bool Look(Clock::time_point now);
  const std::vector<Interface>& all() const { return all_; }
  // This host's own, loopback and link-local aside.
  const std::vector<IpAddress>& addresses() const { return addresses_; }
  // The address by which this host reaches `to` (routing's choice); zeroes when there is no way.
  IpAddress Source(const IpAddress& to);
  // The interface whose other end, a container's, packets to `to` may be handed to at once (veth_peer.h); 0: none.
  uint32_t Peer(const IpAddress& to);
  // net.ipv4.ip_forward or net.ipv6.conf.all.forwarding is off.
  static bool ForwardingOff(bool v6);

 private:
  void Read();

  UniqueFd netlink_;
  Clock::time_point looked_{};
  std::vector<Interface> all_;
  std::vector<IpAddress> addresses_;
  std::set<uint32_t> to_containers_;          // veths whose other end is in another network namespace, no port of a bridge
  std::map<std::string, IpAddress> sources_;  // by the address's bytes, until the next change
};

}  // namespace ringway::dp
