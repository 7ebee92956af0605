// What makes a thing the same thing from one snapshot to the next. '\0' cannot stand in any of the parts.
#pragma once

#include <string>

#include "common/api/feed.h"
#include "common/api/feed_json.h"

namespace ringway::dp {

// Another generation, address or port is another instance: its connections and counters start anew.
inline std::string EndpointIdentity(const std::string& service, const api::Endpoint& endpoint) {
  std::string identity = service;
  identity.append(1, '\0').append(endpoint.id);
  identity.append(1, '\0').append(std::to_string(endpoint.generation));
  identity.append(1, '\0').append(endpoint.address);
  identity.append(1, '\0').append(std::to_string(endpoint.port));
  return identity;
}

// A renamed listener keeps its sockets and sessions; another address or protocol means others, and so does another delivery:
// `by_workers` is false for one whose packets the kernel delivers, or nobody.
inline std::string ListenerIdentity(const api::Listener& listener, bool by_workers = true) {
  return listener.bind + " " + std::string(api::NameOf(listener.protocol)) + (by_workers ? "" : " not by workers");
}

}  // namespace ringway::dp
