// What is still in flight; see in_flight.h.
#include "dataplane/feed/in_flight.h"

namespace ringway::dp {

std::vector<api::InFlight> InFlightOnDraining(const Directory& directory,
                                              const std::vector<const WorkerShared*>& workers,
                                              const InFlightElsewhere& elsewhere) {
  std::vector<api::InFlight> draining;
  for (const EndpointHandle handle : directory.ending) {
    const EndpointRecord& record = directory.endpoints.at(handle);
    uint64_t exchanges = elsewhere ? elsewhere(record.service, record.endpoint) : 0;
    for (const WorkerShared* worker : workers) {
      exchanges += worker->counters.endpoints[handle].exchanges_in_flight.Get();
    }
    draining.push_back({record.service, record.endpoint.id, record.endpoint.generation, exchanges});
  }
  return draining;
}

}  // namespace ringway::dp
