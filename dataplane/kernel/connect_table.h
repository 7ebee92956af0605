// The table by which connect.bpf.c chooses an endpoint: exact weights, one slot an endpoint, two comparisons a choice. Pure.
#pragma once

#include <vector>

#include "bpf/lb_abi.h"

namespace ringway::dp {

// Vose's alias method (IEEE TSE 17(9), 1991), in whole numbers. A slot is chosen with 1/n, then `own` with keep/2^32. Weight 0
// counts as 1.
std::vector<connect_slot> MakeAliasTable(const std::vector<connect_endpoint>& endpoints);

}  // namespace ringway::dp
