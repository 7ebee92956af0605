// What the connect delivery is to do for a snapshot: its listeners with that delivery, their ready endpoints, their cgroups.
// Pure but for the addresses of this host and the place of the cgroup file system.
#pragma once

#include <string>
#include <vector>

#include "common/api/feed.h"
#include "dataplane/kernel/connect.h"

namespace ringway::dp {

struct ConnectPlan {
  std::vector<ConnectService> services;
  std::vector<std::string> cgroups;
  // Ready endpoints that are left out because their family is not the listener's; a socket of one reaches none of the other.
  std::vector<std::string> other_family;
  // Listeners whose only address is that of one of their endpoints: nobody is led.
  std::vector<std::string> own_endpoint;
  bool wildcard = false;  // one listens at whatever addresses this host has
  bool wanted() const { return !services.empty(); }
};

ConnectPlan PlanConnect(const api::Snapshot& snapshot);

}  // namespace ringway::dp
