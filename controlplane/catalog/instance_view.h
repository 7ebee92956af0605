// An instance as the resolver wants it, out of the catalog's records.
#pragma once

#include "controlplane/catalog/catalog.h"
#include "controlplane/discovery/instance.h"

namespace ringway::cp {

// An instance without an IP address and a port is critical and says so.
Instance MakeInstance(const Catalog::Node& node, const ServiceRecord& service);

}  // namespace ringway::cp
