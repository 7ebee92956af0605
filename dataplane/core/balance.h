// Choice of endpoint, and what the choice rests on: which services and endpoints the current map has, requests in flight and
// recent connect failures, as this worker sees them. One worker's; it shares none of it.
//
// A choice is O(1) for round robin and random of two, O(1) for least requests while nobody is excluded; an update costs what
// the changed services hold.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/core/backend_map.h"

namespace ringway::dp {

struct EndpointState {
  uint32_t in_flight = 0;
  // Pooled idle upstreams, most recently used first (slots of the worker's upstreams).
  uint32_t idle_head = kNoHandle;
  uint32_t idle_tail = kNoHandle;
  uint32_t idle_count = 0;
  uint64_t cool_until_us = 0;      // a connect failed: others are preferred until then
  ServiceHandle service = kNoHandle;  // kNoHandle: not ready in the current map
  uint32_t position = 0;           // in its service's `ready`
  // Least requests: place in the service's queues.
  uint32_t bucket = 0;
  uint32_t previous = kNoHandle;
  uint32_t next = kNoHandle;
};

class Balancer {
 public:
  explicit Balancer(uint64_t seed);

  // Takes over `map`, calling left(handle) for each endpoint that was ready before and is not any more.
  template <class Left>
  void Adopt(const BackendMap& map, Left&& left) {
    AdoptServices(map);
    for (EndpointHandle handle : left_) left(handle);
    left_.clear();
  }

  // Null when the current map does not have it.
  const ServiceEntry* Service(ServiceHandle handle) const { return services_[handle].entry; }
  EndpointState& Endpoint(EndpointHandle handle) { return endpoints_[handle]; }

  // Null when no endpoint is ready, or all ready ones are among the `tried`. Endpoints that cool are chosen last.
  const EndpointEntry* Choose(ServiceHandle service, const EndpointHandle* tried, uint32_t tried_count, uint64_t now_us);

  void Acquire(EndpointHandle handle);
  void Release(EndpointHandle handle);

 private:
  static constexpr uint32_t kBuckets = 1024;
  // Endpoints of one service by load, each bucket a FIFO so that equals take turns.
  struct LeastQueues {
    std::array<EndpointHandle, kBuckets> heads;
    std::array<EndpointHandle, kBuckets> tails;
    std::array<uint64_t, kBuckets / 64> occupied{};
    uint32_t weight_min = 1;
  };
  struct ServiceState {
    const ServiceEntry* entry = nullptr;
    uint32_t cursor = 0;
    std::unique_ptr<LeastQueues> least;
  };
  struct Exclusion {
    const EndpointHandle* tried;
    uint32_t tried_count;
    uint64_t now_us;
    bool cooling;  // those that cool are excluded too
  };

  void AdoptServices(const BackendMap& map);
  void Replace(ServiceHandle handle, const ServiceEntry* entry);
  bool Excluded(EndpointHandle handle, const Exclusion& exclusion) const;
  const EndpointEntry* Pick(ServiceState& state, const Exclusion& exclusion);
  const EndpointEntry* PickRoundRobin(ServiceState& state, const Exclusion& exclusion);
  const EndpointEntry* PickRandomOfTwo(ServiceState& state, const Exclusion& exclusion);
  const EndpointEntry* PickLeast(ServiceState& state, const Exclusion& exclusion);
  uint32_t BucketOf(const ServiceState& state, EndpointHandle handle) const;
  void Enqueue(LeastQueues& queues, EndpointHandle handle, uint32_t bucket);
  void Dequeue(LeastQueues& queues, EndpointHandle handle);
  void Requeue(EndpointHandle handle);
  uint32_t Random(uint32_t below);

  std::vector<ServiceState> services_;
  std::unique_ptr<EndpointState[]> endpoints_;
  std::vector<EndpointHandle> left_;
  uint64_t random_;
};

}  // namespace ringway::dp
