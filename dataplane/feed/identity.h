// What makes a thing the same thing from one snapshot to the next. '\0' cannot stand in any of the parts.
#pragma once

#include <string>

#include "common/api/feed.h"

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

// A renamed listener keeps its sockets and sessions; another address or protocol means others.
inline std::string ListenerIdentity(const api::Listener& listener) {
  return listener.bind + (listener.protocol == api::Protocol::kTcp ? " tcp" : " http");
}

}  // namespace ringway::dp
