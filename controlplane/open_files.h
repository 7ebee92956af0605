// The control plane's share of open files: as many as it may have, and not all of them for whoever connects to the catalog,
// so that checks, the feed and the store always find one.
#pragma once

#include <cstddef>

namespace ringway::cp {

// Raises the soft limit to the hard one. How many connections the catalog may then hold.
size_t CatalogConnectionsMax();

}  // namespace ringway::cp
