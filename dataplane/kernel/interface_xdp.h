// What an interface says of XDP: how a program is attached, and what becomes of frames that are sent out by it. The netdev family of
// generic netlink (kernel 6.3), ethtool(7). Any one thread with CAP_NET_ADMIN.
#pragma once

#include <cstdint>
#include <string>

namespace ringway::dp {

// "xdp (driver)", "xdp (generic)", "" without a program.
std::string XdpAttachedHow(uint32_t ifindex);

// By its number, in whichever mode.
bool RunsXdp(uint32_t ifindex, uint32_t program);

// Its driver takes frames that XDP redirects to it. Of a veth: its other end runs XDP or GRO. False where the kernel cannot say.
bool TakesXdpFrames(uint32_t ifindex);

bool IsVeth(uint32_t ifindex);

}  // namespace ringway::dp
