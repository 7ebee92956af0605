// See packet_wanted.h. Addresses have been checked (feed/validate.h).
#include "dataplane/kernel/packet_wanted.h"

#include <algorithm>
#include <map>

#include "dataplane/feed/address.h"
#include "dataplane/feed/identity.h"

namespace ringway::dp {
namespace {

l4_mode ModeOf(api::PacketNat nat) {
  switch (nat) {
    case api::PacketNat::kNat: return L4_NAT;
    case api::PacketNat::kTransparent: return L4_TRANSPARENT;
    case api::PacketNat::kDirect: return L4_DIRECT;
  }
  return L4_NAT;
}

l4_endpoint_state StateOf(api::EndpointState state) {
  switch (state) {
    case api::EndpointState::kReady: return L4_READY;
    case api::EndpointState::kDraining: return L4_DRAINING;
    case api::EndpointState::kDown: return L4_DEAD;
  }
  return L4_DEAD;
}

bool Wildcard(const IpAddress& address) {
  return std::all_of(address.bytes.begin(), address.bytes.end(), [](uint8_t b) { return b == 0; });
}

void AddVips(const IpAddress& bind, bool udp, const Host& host, std::vector<l4_vip_key>& vips) {
  if (!Wildcard(bind)) return vips.push_back(VipKey(bind, udp));
  for (IpAddress address : host.addresses) {
    if (address.v6 != bind.v6) continue;
    address.port = bind.port;
    vips.push_back(VipKey(address, udp));
  }
}

IpAddress SourceFor(const IpAddress& endpoint, const api::Packet& packet, const Host& host) {
  for (const std::string& text : packet.snat_addresses) {
    if (const auto address = ParseIp(text, 0); address.ok() && address->v6 == endpoint.v6) return *address;
  }
  return host.source(endpoint);
}

void AddEndpoints(const api::Service& service, bool v6, const api::Packet& packet, const Host& host, std::vector<PacketEndpoint>& out) {
  for (const api::Endpoint& endpoint : service.endpoints) {
    const auto address = ParseIp(endpoint.address, endpoint.port);
    if (!address.ok() || address->v6 != v6) continue;
    out.push_back({PacketIdentity(service.name, endpoint), *address, SourceFor(*address, packet, host), endpoint.weight, StateOf(endpoint.state),
                   packet.nat == api::PacketNat::kDirect ? 0 : host.peer(*address)});
  }
}

}  // namespace

std::vector<PacketService> WantedPacketServices(const api::Snapshot& snapshot, const Host& host) {
  std::map<std::string, PacketService> wanted;
  for (const api::Listener& listener : snapshot.listeners) {
    if (listener.delivery != api::Delivery::kPacket || listener.routes.size() != 1) continue;
    const auto bind = ParseBind(listener.bind);
    if (!bind.ok()) continue;
    const std::string& service_name = listener.routes[0].service;
    const std::string name = PacketServiceName(service_name, bind->v6);
    const bool fresh = !wanted.contains(name);
    PacketService& service = wanted[name];
    AddVips(*bind, listener.protocol == api::Protocol::kUdp, host, service.vips);
    if (!fresh) continue;
    service.name = name;
    service.mode = ModeOf(snapshot.packet.nat);
    service.silent = snapshot.packet.on_dead == api::OnDead::kSilence;
    const auto known = std::find_if(snapshot.services.begin(), snapshot.services.end(), [&](const api::Service& s) { return s.name == service_name; });
    if (known != snapshot.services.end()) AddEndpoints(*known, bind->v6, snapshot.packet, host, service.endpoints);
  }
  std::vector<PacketService> services;
  for (auto& [name, service] : wanted) services.push_back(std::move(service));
  return services;
}

bool WantsPacketDelivery(const api::Snapshot& snapshot) {
  return std::any_of(snapshot.listeners.begin(), snapshot.listeners.end(), [](const api::Listener& l) { return l.delivery == api::Delivery::kPacket; });
}

uint64_t PacketIdentity(const std::string& service, const api::Endpoint& endpoint) { return IdentityHash(EndpointIdentity(service, endpoint)); }

std::string PacketServiceName(const std::string& service, bool v6) { return service + (v6 ? "/6" : "/4"); }
std::string ServiceOfPacketService(const std::string& name) { return name.substr(0, name.size() - 2); }

}  // namespace ringway::dp
