// Whether packets to an address may be handed to the other end of a veth pair at once (bpf_redirect_peer): its way there is a host
// route by such a pair, without a gateway, and the other end is in another network namespace. A route to more than the one address
// says nothing of who is at that end: a container's own eth0 leads to a bridge, by the same kind of pair. rtnetlink(7).
// Any one thread.
#pragma once

#include <cstdint>

#include "dataplane/core/ip_address.h"

namespace ringway::dp {

bool IsVethToElsewhere(uint32_t ifindex);

// The interface of the host route to `to`; 0 without one, or with a gateway.
uint32_t HostRouteTo(const IpAddress& to);

}  // namespace ringway::dp
