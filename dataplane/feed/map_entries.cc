// The two entries of a BackendMap, made from the feed's values that Validate has passed; see map_builder.h.
#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "dataplane/feed/address.h"
#include "dataplane/feed/map_builder.h"
#include "dataplane/feed/schedule.h"

namespace ringway::dp {
namespace {

Balance Converted(api::Balance balance) {
  switch (balance) {
    case api::Balance::kRoundRobin: return Balance::kRoundRobin;
    case api::Balance::kLeastRequests: return Balance::kLeastRequests;
    case api::Balance::kRandomOfTwo: return Balance::kRandomOfTwo;
    case api::Balance::kLeastLatency: return Balance::kLeastLatency;
  }
  return Balance::kRoundRobin;
}

// The configured number is for all workers together; each gets its share, rounded down, and at least one if there is to be any.
uint32_t Share(uint32_t total, size_t workers) {
  return total == 0 ? 0 : std::max<uint32_t>(1, total / static_cast<uint32_t>(std::max<size_t>(workers, 1)));
}

bool MoreSpecific(const RouteEntry& a, const RouteEntry& b) {
  return std::pair(!a.host.empty(), a.path.size()) > std::pair(!b.host.empty(), b.path.size());
}

// How many of the ready endpoints a worker may eject at a time: the cap on what health takes out, less those that are down
// already, and never the last one. Endpoints that drain leave of themselves and are not part of the pool.
uint32_t EjectionsMax(const api::Service& service) {
  uint64_t ready = 0, down = 0;
  for (const api::Endpoint& endpoint : service.endpoints) {
    ready += endpoint.state == api::EndpointState::kReady ? 1 : 0;
    down += endpoint.state == api::EndpointState::kDown ? 1 : 0;
  }
  const uint64_t cap = (ready + down) * service.ejected_percent_max / 100;
  if (cap <= down || ready == 0) return 0;
  return static_cast<uint32_t>(std::min(cap - down, ready - 1));
}

void SetResilience(const api::Service& service, size_t workers, ServiceEntry& entry) {
  entry.retry_percent = service.retry_budget.percent;
  entry.retry_per_second_min = Share(service.retry_budget.per_second_min, workers);
  entry.failures_max = service.passive_health.failures_max;
  entry.responses_5xx_max = service.passive_health.responses_5xx_max;
  entry.eject_ms = service.passive_health.eject_ms;
  entry.eject_max_ms = std::max(service.passive_health.eject_max_ms, service.passive_health.eject_ms);
  entry.ejections_max = EjectionsMax(service);
  entry.slow_start_ms = service.slow_start_ms;
  entry.in_flight_max = Share(service.endpoint_limit.in_flight_max, workers);
  entry.queue_max = Share(service.endpoint_limit.queue_max, workers);
  entry.queue_timeout_ms = service.endpoint_limit.queue_timeout_ms;
  entry.hold_max = Share(service.hold.requests_max, workers);
  entry.hold_timeout_ms = service.hold.timeout_ms;
}

}  // namespace

ServiceEntry MapBuilder::MakeService(const api::Service& service, ServiceHandle handle, const Places& places) const {
  ServiceEntry entry;
  entry.handle = handle;
  entry.name = service.name;
  entry.balance = Converted(service.balance);
  entry.connect_timeout_ms = service.timeouts.connect_ms;
  entry.response_timeout_ms = service.timeouts.response_ms;
  entry.idle_timeout_ms = service.timeouts.idle_ms;
  entry.tunnel_timeout_ms = service.timeouts.tunnel_ms;
  entry.upstream_idle_timeout_ms = service.timeouts.upstream_idle_ms;
  entry.upstreams_idle_max = Share(service.upstreams_idle_max, workers_.size());
  entry.retries_max = service.retries_max;
  entry.retry_after_s = service.retry_after_s;
  SetResilience(service, workers_.size(), entry);
  std::vector<uint32_t> weights;
  entry.ready.reserve(places.size());
  weights.reserve(places.size());
  for (size_t i = 0; i < places.size(); ++i) {
    if (service.endpoints[i].state != api::EndpointState::kReady) continue;
    entry.ready.push_back(places[i]);
    weights.push_back(places[i].weight);
  }
  entry.schedule = MakeSchedule(weights);
  return entry;
}

ListenerEntry MapBuilder::MakeListener(const api::Listener& listener, ListenerHandle handle) const {
  ListenerEntry entry;
  entry.handle = handle;
  entry.name = listener.name;
  entry.protocol = listener.protocol == api::Protocol::kHttp ? Protocol::kHttp : Protocol::kTcp;
  entry.address = *ParseBind(listener.bind);
  for (const api::Route& route : listener.routes) {
    RouteEntry made{absl::AsciiStrToLower(route.host), route.path, directory_.services.at(route.service)};
    // Of two that are equally specific the first stays first.
    const auto place = std::upper_bound(entry.routes.begin(), entry.routes.end(), made, MoreSpecific);
    entry.routes.insert(place, std::move(made));
  }
  entry.head_timeout_ms = listener.head_timeout_ms;
  entry.client_idle_timeout_ms = listener.client_idle_ms;
  entry.head_bytes_max = listener.head_bytes_max;
  entry.target_bytes_max = std::min(listener.target_bytes_max, listener.head_bytes_max);
  entry.access_log = listener.access_log;
  for (const std::string& block : listener.trusted_proxies) {
    entry.trusted_proxies.push_back(*ParseBlock(block));
  }
  return entry;
}

}  // namespace ringway::dp
