// What the handles of the current map stand for, in the words of the snapshot: for stats, reports and the log. Kept by
// MapBuilder, read on the main thread only.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/api/feed.h"
#include "dataplane/core/backend_map.h"

namespace ringway::dp {

struct EndpointRecord {
  std::string service;
  api::Endpoint endpoint;
  bool left = false;  // out of the snapshot, but some worker still holds something of it
};

struct Directory {
  std::shared_ptr<const api::Snapshot> snapshot;  // null before the first one
  std::map<std::string, ServiceHandle> services;
  std::map<std::string, ListenerHandle> listeners;
  std::map<EndpointHandle, EndpointRecord> endpoints;
  std::set<EndpointHandle> ending;  // of these, those that drain or have left: only what is in flight on them ends
};

}  // namespace ringway::dp
