// Which service a request goes to: exact host before any host, longer path prefix before shorter (common/api/feed.h: Route).
#pragma once

#include <string_view>

#include "dataplane/core/backend_map.h"

namespace ringway::dp {

// `host` as received (port and case do not matter), `path` without query. kNoHandle when no route matches.
ServiceHandle MatchRoute(const ListenerEntry& listener, std::string_view host, std::string_view path);

}  // namespace ringway::dp
