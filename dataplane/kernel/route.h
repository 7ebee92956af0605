// The way from this host to an address, as its routes say now: rtnetlink(7), RTM_GETROUTE with RTM_F_FIB_MATCH (the route itself,
// not what comes of it for one packet). Any one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/core/ip_address.h"

namespace ringway::dp {

struct Route {
  enum class Kind {
    kNone,   // no route, or one that refuses
    kOwn,    // the address is this host's own
    kThere,  // by `out`
  };
  Kind kind = Kind::kNone;
  std::vector<uint32_t> out;  // interfaces; more than one with several next hops
  bool host = false;          // for this address alone, and without a gateway
};

Route RouteTo(const IpAddress& to);

}  // namespace ringway::dp
