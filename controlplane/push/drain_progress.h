// How far the dataplanes are with letting go of an endpoint: what a drain waits for, and names when it does not end in time.
#pragma once

#include <cstdint>
#include <vector>

namespace ringway::cp {

// How far one dataplane is with letting go of one endpoint. It is done when it is not behind and has nothing in flight.
struct DataplaneProgress {
  int64_t pid = 0;      // 0: it has not said hello yet, and may run anything
  bool behind = true;   // has not acknowledged and reported on the version asked for
  bool leaving = false;
  uint64_t in_flight = 0;
};
// Of all that are connected; one that leaves counts until it is gone.
struct DrainProgress {
  uint32_t dataplanes = 0;
  uint32_t behind = 0;
  uint64_t in_flight = 0;
  std::vector<DataplaneProgress> waiting;  // those that are not done
};

}  // namespace ringway::cp
