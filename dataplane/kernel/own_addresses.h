// The addresses of this host, as this network namespace has them now: what a listener on a wildcard listens at. Any thread.
#pragma once

#include <string>
#include <vector>

#include "dataplane/core/ip_address.h"

namespace ringway::dp {

// Of one family, with `port`; without link-local IPv6, which means nothing without its interface. Sorted.
std::vector<IpAddress> OwnAddresses(bool v6, uint16_t port);

// The root of the cgroup v2 file system; empty when none is mounted.
std::string CgroupRoot();

}  // namespace ringway::dp
