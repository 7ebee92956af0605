// A feed of many endpoints and one of them that changes its state back and forth.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "common/api/feed.h"

namespace ringway::bench {

// Arguments of every benchmark here: endpoints in all, and services they are spread over evenly. The first service is "s000".
inline std::string ServiceName(uint64_t index) {
  const std::string digits = std::to_string(index);
  return "s" + std::string(3 - std::min<size_t>(3, digits.size()), '0') + digits;
}

// As a catalog names them: sorted by id within the service.
inline api::Endpoint EndpointOf(uint64_t index) {
  const std::string digits = std::to_string(index);
  api::Endpoint endpoint;
  endpoint.id = "node-" + std::to_string(index % 10) + "/web-" + std::string(6 - digits.size(), '0') + digits;
  endpoint.generation = 1 + index;
  endpoint.address = "10.1." + std::to_string(index / 250) + "." + std::to_string(1 + index % 250);
  endpoint.port = 80;
  return endpoint;
}

inline api::Snapshot SnapshotOf(uint64_t endpoints, uint64_t services) {
  api::Snapshot snapshot;
  snapshot.epoch = "0123456789abcdef";
  snapshot.version = 1;
  for (uint64_t s = 0; s < services; ++s) {
    api::Service service;
    service.name = ServiceName(s);
    for (uint64_t i = s; i < endpoints; i += services) service.endpoints.push_back(EndpointOf(i));
    std::sort(service.endpoints.begin(), service.endpoints.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    snapshot.services.push_back(std::move(service));
  }
  return snapshot;
}

// The first service's first endpoint drains, or is ready again.
inline api::Delta NextDelta(const api::Snapshot& from) {
  api::Endpoint changed = from.services[0].endpoints[0];
  const bool ready = changed.state == api::EndpointState::kReady;
  changed.state = ready ? api::EndpointState::kDraining : api::EndpointState::kReady;
  return {from.epoch, from.version, from.version + 1, {{from.services[0].name, {changed}, {}}}};
}

}  // namespace ringway::bench
