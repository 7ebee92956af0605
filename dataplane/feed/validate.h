// What a snapshot must hold before anything of it is taken: a dataplane obeys nobody blindly.
#pragma once

#include "absl/status/status.h"
#include "common/api/feed.h"

namespace ringway::dp {

// InvalidArgument with the path of the first fault: names empty or twice, addresses that are none, weights and limits out of
// range, waits without end, routes to nowhere, two listeners on one address.
absl::Status Validate(const api::Snapshot& snapshot);

}  // namespace ringway::dp
