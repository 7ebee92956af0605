// The kernel programs that work on sockets, as a running dataplane has them: connect delivery and steering. Follows what the
// snapshot asks for; what cannot be had is said once in the log, shown in the stats, and done without. Nothing is loaded
// before something asks for it. Main thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/api/feed.h"
#include "dataplane/core/worker_shared.h"
#include "dataplane/feed/directory.h"

namespace ringway::dp {

struct ConnectCount {
  uint64_t chosen = 0;   // connects, and first datagrams of UDP
  uint64_t open = 0;     // gauge, of an endpoint: sockets that are connected to it now
  uint64_t empty = 0;    // of a listener: no endpoint was ready
  uint64_t foreign = 0;  // of a listener: loopback address of another network namespace
};

struct SteerCount {
  uint64_t local = 0;   // given to the worker on the CPU that took the packet
  uint64_t least = 0;   // to the one with the fewest sessions
  uint64_t hashed = 0;  // left to the kernel's hash
};

// One line for the stats page: "on", "off", or "refused" and why.
struct ProgramState {
  std::string program;
  std::string state;
  std::string detail;
};

class SocketPrograms {
 public:
  // `instance` tells dataplanes of one host apart (the run directory): each has pins of its own. `log_folder` gets the verifier's
  // log of a program that is refused.
  static std::unique_ptr<SocketPrograms> Make(std::vector<WorkerShared*> workers, const std::string& instance, std::string log_folder);
  virtual ~SocketPrograms() = default;

  // The workers run it.
  virtual void Apply(const std::shared_ptr<const api::Snapshot>& snapshot, const Directory& directory, const BackendMap& map) = 0;
  // Once a second.
  virtual void Tick() = 0;
  // A successor takes the listening sockets, and all that is pinned.
  virtual void Leave() = 0;
  // This dataplane ends for good: detaches, or keeps what is pinned, as configured. Not after Leave.
  virtual void Stop() = 0;

  virtual ConnectCount OfListener(const std::string& listener) const = 0;
  virtual ConnectCount OfEndpoint(const std::string& service, const api::Endpoint& endpoint) const = 0;
  virtual SteerCount Steered() const = 0;
  virtual std::vector<ProgramState> States() const = 0;
};

}  // namespace ringway::dp
