// What is still in flight on endpoints that drain or have left: the workers' gauges, added up.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/api/feed.h"
#include "dataplane/core/worker_shared.h"
#include "dataplane/feed/directory.h"

namespace ringway::dp {

// What is in flight on an endpoint beside the workers: flows that the kernel delivers.
using InFlightElsewhere = std::function<uint64_t(const std::string& service, const api::Endpoint&)>;

// Every draining endpoint of the snapshot, idle ones too, and every one that left while a worker still held something of it.
std::vector<api::InFlight> InFlightOnDraining(const Directory& directory,
                                              const std::vector<const WorkerShared*>& workers,
                                              const InFlightElsewhere& elsewhere);

}  // namespace ringway::dp
