// The catalog's own node: which host this is, and how a Consul server shows itself in its catalog.
#pragma once

#include <string>

#include "controlplane/catalog/catalog.h"

namespace ringway::cp {

std::string HostName();
// This host's first IPv4 address that is up and not loopback, else 127.0.0.1.
std::string HostAddress();

// Puts the node's record, the service "consul" and the check serfHealth into `catalog`. `node_id`
// stays with the database: services of a node that carried it under another name (the host was
// renamed) come along.
void RegisterSelf(Catalog& catalog, const std::string& name, const std::string& address,
                  const std::string& node_id);

}  // namespace ringway::cp
