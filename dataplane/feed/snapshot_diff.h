// What lies between the snapshot that runs and the next one, so that taking it costs what changed: services that are the same
// are only compared, and of a service that is not, each endpoint finds the one it was before. Pure functions.
#pragma once

#include <cstddef>
#include <vector>

#include "common/api/feed.h"

namespace ringway::dp {

struct ServiceChange {
  const api::Service* before = nullptr;  // null: new
  const api::Service* after = nullptr;   // null: gone
  // For each endpoint of `after` the position in `before` of the one with its id, or kNone.
  std::vector<size_t> positions;
  static constexpr size_t kNone = ~size_t{0};

  // Where it was in `before` if it is the same instance (identity.h), else kNone.
  size_t SameInstance(size_t position_after) const;
  // Nothing of it changed.
  bool Same(size_t position_after) const;
};

// The services that differ, by name. `before` may be null. Both outlive what is returned. Linear while endpoints are sorted by
// id, as a control plane sends them; right in any order.
std::vector<ServiceChange> ChangedServices(const api::Snapshot* before, const api::Snapshot& after);

}  // namespace ringway::dp
