// Whether an interface is an end of a veth pair whose other end is a container's: in another network namespace. Packets to an
// address with a host route by such a pair may be handed to the other end at once (bpf_redirect_peer). A route to more than the one
// address says nothing of who is at that end: a container's own eth0 leads to a bridge, by the same kind of pair. rtnetlink(7).
// Any one thread.
#pragma once

#include <cstdint>

namespace ringway::dp {

bool IsVethToElsewhere(uint32_t ifindex);

}  // namespace ringway::dp
