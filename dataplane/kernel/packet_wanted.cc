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

// Why a ready endpoint gets no packets, or is not heard; empty: nothing is known against it.
std::string TroubleOf(const Route& route, const api::Packet& packet, const Host& host) {
  if (route.kind == Route::Kind::kOwn) return "its address is this host's own, where packets cannot be handed on to: it gets none; proxy and connect reach it";
  if (route.kind == Route::Kind::kNone) return "this host has no route to it";
  if (packet.nat == api::PacketNat::kDirect) return "";  // it answers past this host
  for (const uint32_t out : route.out) {
    if (const auto unheard = host.unheard.find(out); unheard != host.unheard.end()) return unheard->second;
  }
  return "";
}

// `both`: another listener leads to the endpoints of the other family.
void AddEndpoints(const api::Service& service, bool v6, bool both, const api::Packet& packet, const Host& host, PacketService& out, std::vector<PacketTrouble>& troubles) {
  for (const api::Endpoint& endpoint : service.endpoints) {
    const auto address = ParseIp(endpoint.address, endpoint.port);
    const bool other = address.ok() && address->v6 != v6;
    if (!address.ok() || (other && both)) continue;
    const uint64_t identity = PacketIdentity(service.name, endpoint);
    const std::string trouble = other ? "it is not of its listener's address family: it gets no clients" : TroubleOf(host.route(*address), packet, host);
    if (!trouble.empty() && endpoint.state == api::EndpointState::kReady) troubles.push_back({identity, service.name + "/" + endpoint.id, trouble});
    if (other || host.route(*address).kind == Route::Kind::kOwn) continue;
    out.endpoints.push_back({identity, *address, SourceFor(*address, packet, host), endpoint.weight, StateOf(endpoint.state),
                             packet.nat == api::PacketNat::kDirect ? 0 : host.peer(*address)});
  }
}

// By name: each family of a service that a listener leads to, without endpoints yet.
std::map<std::string, PacketService> ListenedTo(const api::Snapshot& snapshot, const Host& host) {
  std::map<std::string, PacketService> listened;
  for (const api::Listener& listener : snapshot.listeners) {
    if (listener.delivery != api::Delivery::kPacket || listener.routes.size() != 1) continue;
    const auto bind = ParseBind(listener.bind);
    if (!bind.ok()) continue;
    const std::string name = PacketServiceName(listener.routes[0].service, bind->v6);
    PacketService& service = listened[name];
    AddVips(*bind, listener.protocol == api::Protocol::kUdp, host, service.vips);
    service.name = name;
    service.mode = ModeOf(snapshot.packet.nat);
    service.silent = snapshot.packet.on_dead == api::OnDead::kSilence;
  }
  return listened;
}

}  // namespace

PacketWanted WantedByPacket(const api::Snapshot& snapshot, const Host& host) {
  PacketWanted wanted;
  std::map<std::string, PacketService> listened = ListenedTo(snapshot, host);
  for (const api::Service& known : snapshot.services) {
    for (const bool v6 : {false, true}) {
      const auto service = listened.find(PacketServiceName(known.name, v6));
      if (service == listened.end()) continue;
      AddEndpoints(known, v6, listened.contains(PacketServiceName(known.name, !v6)), snapshot.packet, host, service->second, wanted.troubles);
    }
  }
  for (auto& [name, service] : listened) wanted.services.push_back(std::move(service));
  return wanted;
}

bool WantsPacketDelivery(const api::Snapshot& snapshot) {
  return std::any_of(snapshot.listeners.begin(), snapshot.listeners.end(), [](const api::Listener& l) { return l.delivery == api::Delivery::kPacket; });
}

uint64_t PacketIdentity(const std::string& service, const api::Endpoint& endpoint) { return IdentityHash(EndpointIdentity(service, endpoint)); }

std::string PacketServiceName(const std::string& service, bool v6) { return service + (v6 ? "/6" : "/4"); }
std::string ServiceOfPacketService(const std::string& name) { return name.substr(0, name.size() - 2); }

}  // namespace ringway::dp
