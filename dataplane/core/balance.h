// Choice of endpoint, and what the choice rests on: which services and endpoints the current map has, requests in flight and
// health (health.h), as this worker sees them. One worker's; it shares none of it.
//
// A choice is O(1) for round robin and random of two while their endpoints have room and are well, and for least requests
// while nobody is excluded; an update costs what the changed services hold.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/core/backend_map.h"
#include "dataplane/core/counters.h"
#include "dataplane/core/health.h"

namespace ringway::dp {

struct EndpointState {
  static constexpr uint32_t kUnqueued = ~0u;  // its service does not queue

  // The ordinary rule passes it over before this: it cools, is ejected, or its share still grows. The one thing about health
  // that a choice looks at; the rest is in Health.
  uint64_t out_until_us = 0;
  uint32_t in_flight = 0;
  // Least latency: a peak EWMA of what answers took, as it was at latency_at_us, and the kernel's round trip. 0: not known.
  uint32_t latency_us = 0;
  uint32_t rtt_us = 0;
  uint64_t latency_at_us = 0;
  uint64_t failed_until_us = 0;  // its last answer was a failure: until then one that answers goes before
  uint64_t sample_at_us = 0;  // when its path may be sampled again
  Streak streak;
  // Pooled idle upstreams, most recently used first (slots of the worker's upstreams).
  uint32_t idle_head = kNoHandle;
  uint32_t idle_tail = kNoHandle;
  uint32_t idle_count = 0;
  ServiceHandle service = kNoHandle;  // kNoHandle: not ready in the current map
  uint32_t position = 0;           // in its service's `ready`
  // Least requests: place in the service's queues.
  uint32_t bucket = kUnqueued;
  uint32_t previous = kNoHandle;
  uint32_t next = kNoHandle;
};

struct Choice {
  const EndpointEntry* endpoint = nullptr;
  bool full = false;  // none, but one that could be chosen has no room now
};

enum class FailureVerdict : uint8_t { kCounted, kEjected, kDenied };

class Balancer {
 public:
  explicit Balancer(uint64_t seed);

  // Takes over `map`, calling left(handle) for each endpoint that was ready before and is not any more, then changed(handle)
  // for each service that is another one now or none. Endpoints that join others begin with a small share (slow start).
  template <class Left, class Changed>
  void Adopt(const BackendMap& map, uint64_t now_us, Left&& left, Changed&& changed) {
    AdoptServices(map, now_us);
    for (EndpointHandle handle : left_) left(handle);
    for (ServiceHandle handle : changed_) changed(handle);
    left_.clear();
    changed_.clear();
  }

  // Null when the current map does not have it.
  const ServiceEntry* Service(ServiceHandle handle) const { return services_[handle].entry; }
  bool ByLatency(ServiceHandle handle) const { return services_[handle].balance == Balance::kLeastLatency; }
  EndpointState& Endpoint(EndpointHandle handle) { return endpoints_[handle]; }
  const Health& HealthOf(EndpointHandle handle) const { return health_[handle]; }

  // Never one of the `tried`, never one that has no room. One that cools or is ejected only when no other untried one is
  // ready: for those that are merely full it is better to wait.
  Choice Choose(ServiceHandle service, const EndpointHandle* tried, uint32_t tried_count, uint64_t now_us) {
    ServiceState& state = services_[service];
    // Most choices: the next one in turn is plain and has room.
    if (state.balance == Balance::kRoundRobin && tried_count == 0 && state.steps != 0 && now_us >= state.ramp_until_us) {
      const EndpointEntry& next = Step(state);
      const EndpointState& endpoint = endpoints_[next.handle];
      if (endpoint.out_until_us <= now_us && endpoint.in_flight < state.in_flight_max) [[likely]] return {&next};
    }
    return ChooseBySearch(state, tried, tried_count, now_us);
  }

  void Acquire(EndpointHandle handle) {
    EndpointState& endpoint = endpoints_[handle];
    ++endpoint.in_flight;
    if (endpoint.bucket < kBuckets) Requeue(handle);
  }
  void Release(EndpointHandle handle) {
    EndpointState& endpoint = endpoints_[handle];
    --endpoint.in_flight;
    if (endpoint.bucket < kBuckets) Requeue(handle);
  }

  // Least latency: an answer, a connection or a time-out took so long. A longer one counts at once, shorter ones little by little.
  void NoteLatency(EndpointHandle handle, uint64_t us, uint64_t now_us);
  // An attempt failed, or was answered 5xx, after so long: who fails fast must not attract requests by that.
  void NoteFailedLatency(EndpointHandle handle, uint64_t us, uint64_t now_us);

  // An attempt that began at `attempt_us` failed, or was answered 5xx by a service that counts these. Attempts from before
  // the endpoint's last return say nothing new.
  FailureVerdict NoteFailure(EndpointHandle handle, EjectionReason reason, uint64_t attempt_us, uint64_t now_us);

 private:
  static constexpr uint32_t kBuckets = 1024;
  static constexpr uint32_t kAside = kBuckets;  // those that are out: no choice walks over them
  static constexpr uint64_t kReviewUs = 100000;
  static constexpr uint32_t kRefusalsMax = 8;
  static constexpr uint64_t kLatencyFadesUs = 3000000;
  static constexpr uint64_t kLatencyMaxUs = 1u << 30;
  static constexpr uint64_t kFailedUs = 1000000;
  // Endpoints of one service by load, each bucket a FIFO so that equals take turns.
  struct LeastQueues {
    std::array<EndpointHandle, kBuckets + 1> heads;
    std::array<EndpointHandle, kBuckets + 1> tails;
    std::array<uint64_t, kBuckets / 64> occupied{};
    uint32_t weight_min = 1;
  };
  struct ServiceState {
    const ServiceEntry* entry = nullptr;
    // What a choice reads of `entry`.
    const EndpointEntry* ready = nullptr;
    const uint32_t* schedule = nullptr;  // null: `ready` is the schedule
    uint32_t steps = 0;                  // of the schedule; 0: nobody is ready
    Balance balance = Balance::kRoundRobin;
    uint32_t cursor = 0;                 // round robin: the last step taken
    uint32_t in_flight_max = ~0u;   // per endpoint
    uint64_t ramp_until_us = 0;     // until then some of them ramp
    uint64_t review_us = ~0ull;     // least requests: when those aside are looked at
    std::unique_ptr<LeastQueues> least;
  };
  // Whom a search may take, in the order in which they are asked.
  enum class Reach : uint8_t { kPlain, kRamping, kBarred };
  struct Search {
    const EndpointHandle* tried;
    uint32_t tried_count;
    uint32_t in_flight_max;
    uint64_t now_us;
    Reach reach = Reach::kPlain;
    bool full = false;  // met one without room
  };

  void AdoptServices(const BackendMap& map, uint64_t now_us);
  void Replace(ServiceHandle handle, const ServiceEntry* entry, uint64_t now_us);
  void Leave(const ServiceEntry& entry);
  void Join(ServiceHandle handle, const ServiceEntry& entry, bool others_stay, uint64_t now_us);
  void BuildQueues(ServiceState& state, uint64_t now_us);
  bool Reaches(EndpointHandle handle, const Search& search) const;
  bool Excluded(EndpointHandle handle, Search& search) const {
    const EndpointState& endpoint = endpoints_[handle];
    if (endpoint.out_until_us > search.now_us && !Reaches(handle, search)) return true;
    for (uint32_t i = 0; i < search.tried_count; ++i) {
      if (search.tried[i] == handle) return true;
    }
    if (endpoint.in_flight < search.in_flight_max) return false;
    search.full = true;
    return true;
  }
  static const EndpointEntry& At(const ServiceState& state, uint32_t step) {
    return state.ready[state.schedule == nullptr ? step : state.schedule[step]];
  }
  static const EndpointEntry& Step(ServiceState& state) {
    if (++state.cursor == state.steps) state.cursor = 0;
    return At(state, state.cursor);
  }
  Choice ChooseHard(ServiceState& state, Search& search);
  Choice ChooseBySearch(ServiceState& state, const EndpointHandle* tried, uint32_t tried_count, uint64_t now_us);
  const EndpointEntry* Pick(ServiceState& state, Search& search);
  const EndpointEntry* PickRamping(ServiceState& state, Search search);
  const EndpointEntry* PickRoundRobin(ServiceState& state, Search& search);
  template <class Load>
  const EndpointEntry* PickOfTwo(ServiceState& state, Search& search, Load&& load);
  uint64_t LatencyLoad(const EndpointState& endpoint, uint64_t now_us) const;
  const EndpointEntry* PickLeast(ServiceState& state, Search& search);
  bool EjectionDue(EndpointHandle handle, const ServiceEntry& service, EjectionReason reason, uint64_t now_us);
  bool MayEject(const ServiceEntry& service, uint64_t now_us) const;
  void SetOut(EndpointHandle handle);
  void Review(ServiceState& state, uint64_t now_us);
  uint32_t BucketOf(const ServiceState& state, EndpointHandle handle) const;
  void Enqueue(LeastQueues& queues, EndpointHandle handle, uint32_t bucket);
  void Dequeue(LeastQueues& queues, EndpointHandle handle);
  void Requeue(EndpointHandle handle);
  uint32_t Random(uint32_t below);

  std::vector<ServiceState> services_;
  std::unique_ptr<EndpointState[]> endpoints_;
  std::unique_ptr<Health[]> health_;
  std::vector<EndpointHandle> left_;
  std::vector<ServiceHandle> changed_;
  uint64_t random_;
};

}  // namespace ringway::dp
