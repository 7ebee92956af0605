// See connect_plan.h.
#include "dataplane/kernel/connect_plan.h"

#include <algorithm>

#include "dataplane/feed/address.h"
#include "dataplane/feed/identity.h"
#include "dataplane/kernel/own_addresses.h"

namespace ringway::dp {
namespace {

bool IsWildcard(const IpAddress& address) {
  return std::all_of(address.bytes.begin(), address.bytes.end(), [](uint8_t byte) { return byte == 0; });
}

ConnectService ServiceFor(const api::Listener& listener, const api::Service& service, ConnectPlan& plan) {
  const IpAddress bind = *ParseBind(listener.bind);
  ConnectService made;
  made.name = listener.name;
  made.addresses = IsWildcard(bind) ? OwnAddresses(bind.v6, bind.port) : std::vector<IpAddress>{bind};
  plan.wildcard = plan.wildcard || IsWildcard(bind);
  made.udp = listener.protocol == api::Protocol::kUdp;
  made.refuse_empty = listener.fallback == api::Fallback::kRefuse;
  made.least_open = service.balance != api::Balance::kRoundRobin;
  for (const api::Endpoint& endpoint : service.endpoints) {
    const IpAddress address = *ParseIp(endpoint.address, endpoint.port);
    if (endpoint.state != api::EndpointState::kReady) made.resting.push_back(EndpointIdentity(service.name, endpoint));
    else if (address.v6 == bind.v6) made.ready.push_back({EndpointIdentity(service.name, endpoint), address, endpoint.weight});
    else plan.other_family.push_back(service.name + "/" + endpoint.id);
    // Who asks for an endpoint's own address is to reach that one: its health check, for a start.
    std::erase(made.addresses, address);
  }
  if (made.addresses.empty()) plan.own_endpoint.push_back(listener.name);
  return made;
}

}  // namespace

ConnectPlan PlanConnect(const api::Snapshot& snapshot) {
  ConnectPlan plan;
  for (const api::Listener& listener : snapshot.listeners) {
    if (listener.delivery != api::Delivery::kConnect) continue;
    const auto service = std::find_if(snapshot.services.begin(), snapshot.services.end(),
                                      [&](const api::Service& s) { return s.name == listener.routes[0].service; });
    if (service != snapshot.services.end()) plan.services.push_back(ServiceFor(listener, *service, plan));
  }
  plan.cgroups = snapshot.connect.cgroups;
  if (plan.cgroups.empty()) plan.cgroups.push_back(CgroupRoot());
  return plan;
}

}  // namespace ringway::dp
