// What packet delivery's maps should say, read from a snapshot: its listeners with that delivery, the services behind them, and
// this host's addresses and ways, for binds to all of them and towards endpoints. Pure.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/api/feed.h"
#include "dataplane/kernel/packet_plan.h"
#include "dataplane/kernel/packet_troubles.h"
#include "dataplane/kernel/route.h"

namespace ringway::dp {

struct Host {
  std::vector<IpAddress> addresses;                       // its own, loopback aside
  std::function<IpAddress(const IpAddress&)> source;      // which of them leads to an endpoint
  std::function<uint32_t(const IpAddress&)> peer;         // Interfaces::Peer, where the programs are attached to it
  std::function<const Route&(const IpAddress&)> route;    // Interfaces::RouteOf
  std::map<uint32_t, std::string> unheard;                // UnheardInterfaces
};

struct PacketWanted {
  std::vector<PacketService> services;
  std::vector<PacketTrouble> troubles;  // of ready endpoints
};

PacketWanted WantedByPacket(const api::Snapshot& snapshot, const Host& host);

bool WantsPacketDelivery(const api::Snapshot& snapshot);
uint64_t PacketIdentity(const std::string& service, const api::Endpoint& endpoint);
// "SERVICE/4" or "SERVICE/6", and back.
std::string PacketServiceName(const std::string& service, bool v6);
std::string ServiceOfPacketService(const std::string& name);

}  // namespace ringway::dp
