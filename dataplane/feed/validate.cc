// What a snapshot must hold; see validate.h. Paths name things by their names: services[web].endpoints[n1/web1].weight.
#include "dataplane/feed/validate.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "dataplane/core/backend_map.h"
#include "dataplane/feed/address.h"

namespace ringway::dp {
namespace {

constexpr uint32_t kWeightMax = 256;
constexpr uint32_t kHeadBytesMin = 512;
constexpr uint32_t kHeadBytesMax = 16384;

absl::Status Fault(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

absl::Status CheckRange(const std::string& path, uint64_t value, uint64_t min, uint64_t max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return Fault(path, absl::StrCat("wanted ", min, " to ", max, ", got ", value));
}

absl::Status CheckEndpoint(const std::string& path, const api::Endpoint& endpoint) {
  if (const auto ip = ParseIp(endpoint.address, endpoint.port); !ip.ok()) {
    return Fault(path + ".address", std::string(ip.status().message()));
  }
  if (absl::Status s = CheckRange(path + ".port", endpoint.port, 1, 65535); !s.ok()) return s;
  return CheckRange(path + ".weight", endpoint.weight, 1, kWeightMax);
}

absl::Status CheckEndpoints(const std::string& path, const ServiceChange& change) {
  const std::vector<api::Endpoint>& endpoints = change.after->endpoints;
  bool ascending = true;  // then none stands there twice
  for (size_t i = 0; i < endpoints.size(); ++i) {
    const api::Endpoint& endpoint = endpoints[i];
    ascending = ascending && (i == 0 || endpoints[i - 1].id < endpoint.id);
    if (change.Same(i)) continue;
    const std::string where = absl::StrCat(path, ".endpoints[", endpoint.id, "]");
    if (endpoint.id.empty()) return Fault(where, "wanted an id");
    if (absl::Status s = CheckEndpoint(where, endpoint); !s.ok()) return s;
  }
  if (ascending) return absl::OkStatus();
  std::set<std::string_view> ids;
  for (const api::Endpoint& endpoint : endpoints) {
    if (ids.insert(endpoint.id).second) continue;
    return Fault(absl::StrCat(path, ".endpoints[", endpoint.id, "]"), "this id stands here twice");
  }
  return absl::OkStatus();
}

absl::Status CheckService(const std::string& path, const ServiceChange& change) {
  const api::Service& service = *change.after;
  const api::Timeouts& t = service.timeouts;
  const std::pair<const char*, uint32_t> waits[] = {
      {"timeouts.connect_ms", t.connect_ms},
      {"timeouts.response_ms", t.response_ms},
      {"timeouts.idle_ms", t.idle_ms},
      {"timeouts.tunnel_ms", t.tunnel_ms},
      {"timeouts.upstream_idle_ms", t.upstream_idle_ms},
      {"passive_health.eject_ms", service.passive_health.eject_ms},
      {"endpoint_limit.queue_timeout_ms", service.endpoint_limit.queue_timeout_ms}};
  for (const auto& [name, value] : waits) {
    absl::Status s = CheckRange(absl::StrCat(path, ".", name), value, 1, UINT32_MAX);
    if (!s.ok()) return s;
  }
  const std::pair<const char*, uint32_t> shares[] = {{"ejected_percent_max", service.ejected_percent_max},
                                                     {"retry_budget.percent", service.retry_budget.percent}};
  for (const auto& [name, value] : shares) {
    if (absl::Status s = CheckRange(absl::StrCat(path, ".", name), value, 0, 100); !s.ok()) return s;
  }
  return CheckEndpoints(path, change);
}

absl::Status CheckRoutes(const std::string& path, const api::Listener& listener,
                         const std::set<std::string_view>& services) {
  if (listener.protocol != api::Protocol::kHttp &&
      (listener.routes.size() != 1 || !listener.routes[0].host.empty() ||
       !listener.routes[0].path.empty())) {
    return Fault(path + ".routes", "wanted exactly one route without host and path for tcp and udp");
  }
  for (size_t i = 0; i < listener.routes.size(); ++i) {
    if (services.contains(listener.routes[i].service)) continue;
    return Fault(absl::StrCat(path, ".routes[", i, "].service"),
                 absl::StrCat("no service is called \"", listener.routes[i].service, "\""));
  }
  return absl::OkStatus();
}

absl::Status CheckDelivery(const std::string& path, const api::Listener& listener) {
  if (listener.protocol == api::Protocol::kUdp && listener.delivery == api::Delivery::kProxy) {
    return Fault(path + ".delivery", "the proxy does not carry udp");
  }
  if (listener.protocol == api::Protocol::kHttp && listener.delivery == api::Delivery::kPacket) {
    return Fault(path + ".delivery", "packets are delivered as tcp or udp, not http");
  }
  if (listener.delivery == api::Delivery::kConnect &&
      (listener.routes.size() != 1 || !listener.routes[0].host.empty() || !listener.routes[0].path.empty())) {
    return Fault(path + ".routes", "wanted exactly one route without host and path for connect delivery");
  }
  return absl::OkStatus();
}

absl::Status CheckConnect(const api::Connect& connect) {
  for (const std::string& cgroup : connect.cgroups) {
    if (!cgroup.starts_with("/")) return Fault("connect.cgroups", "wanted absolute paths");
  }
  return connect.pin_dir.starts_with("/") ? absl::OkStatus() : Fault("connect.pin_dir", "wanted an absolute path");
}

absl::Status CheckPacket(const api::Packet& packet) {
  for (const std::string& address : packet.snat_addresses) {
    if (const auto ip = ParseIp(address, 0); !ip.ok()) return Fault("packet.snat_addresses", std::string(ip.status().message()));
  }
  absl::Status s = CheckRange("packet.snat_port_first", packet.snat_port_first, 1024, packet.snat_port_last);
  if (s.ok()) s = CheckRange("packet.snat_port_last", packet.snat_port_last, 1024, 65535);
  if (s.ok()) s = CheckRange("packet.flows_max", packet.flows_max, 1024, 1u << 24);
  if (s.ok() && !packet.pin_dir.starts_with("/")) return Fault("packet.pin_dir", "wanted an absolute path");
  const api::PacketTimeouts& t = packet.timeouts;
  for (const uint32_t ms : {t.syn_ms, t.established_ms, t.fin_ms, t.closed_ms, t.reset_ms, t.udp_ms, t.udp_answered_ms, t.udp_stream_ms}) {
    if (s.ok()) s = CheckRange("packet.timeouts", ms, 1, UINT32_MAX);
  }
  return s;
}

absl::Status CheckListener(const std::string& path, const api::Listener& listener) {
  if (const auto bind = ParseBind(listener.bind); !bind.ok()) {
    return Fault(path + ".bind", std::string(bind.status().message()));
  }
  for (const std::string& block : listener.trusted_proxies) {
    if (const auto parsed = ParseBlock(block); !parsed.ok()) {
      return Fault(path + ".trusted_proxies", std::string(parsed.status().message()));
    }
  }
  absl::Status s = CheckRange(path + ".head_timeout_ms", listener.head_timeout_ms, 1, UINT32_MAX);
  if (s.ok()) s = CheckRange(path + ".client_idle_ms", listener.client_idle_ms, 1, UINT32_MAX);
  if (s.ok()) s = CheckRange(path + ".head_bytes_max", listener.head_bytes_max, kHeadBytesMin, kHeadBytesMax);
  if (s.ok()) s = CheckRange(path + ".target_bytes_max", listener.target_bytes_max, 1, kHeadBytesMax);
  return s;
}

}  // namespace

absl::Status Validate(const api::Snapshot& snapshot) { return Validate(snapshot, ChangedServices(nullptr, snapshot)); }

absl::Status Validate(const api::Snapshot& snapshot, const std::vector<ServiceChange>& changes) {
  if (absl::Status s = CheckRange("services: number", snapshot.services.size(), 0, kServicesMax); !s.ok()) return s;
  if (absl::Status s = CheckRange("listeners: number", snapshot.listeners.size(), 0, kListenersMax); !s.ok()) return s;
  std::set<std::string_view> services;
  size_t endpoints = 0;
  for (const api::Service& service : snapshot.services) {
    const std::string path = absl::StrCat("services[", service.name, "]");
    if (service.name.empty()) return Fault(path, "wanted a name");
    if (!services.insert(service.name).second) return Fault(path, "this name stands here twice");
    endpoints += service.endpoints.size();
  }
  for (const ServiceChange& change : changes) {
    if (change.after == nullptr) continue;
    if (absl::Status s = CheckService(absl::StrCat("services[", change.after->name, "]"), change); !s.ok()) return s;
  }
  if (absl::Status s = CheckRange("endpoints: number", endpoints, 0, kEndpointsMax); !s.ok()) return s;
  if (absl::Status s = CheckPacket(snapshot.packet); !s.ok()) return s;
  if (absl::Status s = CheckConnect(snapshot.connect); !s.ok()) return s;
  std::set<std::string_view> names;
  std::set<std::pair<bool, std::string_view>> binds;  // UDP has ports of its own
  for (const api::Listener& listener : snapshot.listeners) {
    const std::string path = absl::StrCat("listeners[", listener.name, "]");
    if (listener.name.empty()) return Fault(path, "wanted a name");
    if (!names.insert(listener.name).second) return Fault(path, "this name stands here twice");
    if (absl::Status s = CheckListener(path, listener); !s.ok()) return s;
    if (absl::Status s = CheckDelivery(path, listener); !s.ok()) return s;
    if (absl::Status s = CheckRoutes(path, listener, services); !s.ok()) return s;
    if (!binds.insert({listener.protocol == api::Protocol::kUdp, listener.bind}).second) {
      return Fault(path + ".bind", absl::StrCat("another listener has ", listener.bind));
    }
  }
  return absl::OkStatus();
}

}  // namespace ringway::dp
