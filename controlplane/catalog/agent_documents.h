// What the agent says of itself: agent/self and agent/members, as far as clients look at them.
#pragma once

#include <boost/json/value.hpp>

#include "controlplane/catalog/embedded_catalog.h"

namespace ringway::cp {

boost::json::value AgentSelfJson(const EmbeddedCatalog& catalog);
boost::json::value AgentMembersJson(const EmbeddedCatalog& catalog);

}  // namespace ringway::cp
