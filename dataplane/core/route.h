// Which service a request goes to: exact host before any host, longer path prefix before shorter (common/api/feed.h: Route).
#pragma once

#include <string_view>

#include "dataplane/core/backend_map.h"

namespace ringway::dp {

// Of several routes. `host` as received (port and case do not matter), `path` without query. kNoHandle when no route matches.
ServiceHandle MatchRouteOf(const ListenerEntry& listener, std::string_view host, std::string_view path);

// The same, of any number.
inline ServiceHandle MatchRoute(const ListenerEntry& listener, std::string_view host, std::string_view path) {
  if (listener.routes.empty()) return kNoHandle;
  const RouteEntry& first = listener.routes.front();
  if (first.host.empty() && first.path.empty()) return first.service;  // sorted: nothing more specific exists
  return MatchRouteOf(listener, host, path);
}

}  // namespace ringway::dp
