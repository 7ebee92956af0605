// What a snapshot must hold before anything of it is taken: a dataplane obeys nobody blindly.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "common/api/feed.h"
#include "dataplane/feed/snapshot_diff.h"

namespace ringway::dp {

// InvalidArgument with the path of the first fault: names empty or twice, addresses that are none, weights and limits out of
// range, waits without end, routes to nowhere, two listeners on one address. `changes` leads here from a snapshot that has
// passed: what stood in that one is not looked at again.
absl::Status Validate(const api::Snapshot& snapshot, const std::vector<ServiceChange>& changes);
// All of it.
absl::Status Validate(const api::Snapshot& snapshot);

}  // namespace ringway::dp
