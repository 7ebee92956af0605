#include "dataplane/core/balance.h"

#include <bit>

namespace ringway::dp {
namespace {

const EndpointEntry& At(const ServiceEntry& service, uint32_t step) {
  return service.ready[service.schedule.empty() ? step : service.schedule[step]];
}

uint32_t Steps(const ServiceEntry& service) {
  return static_cast<uint32_t>(service.schedule.empty() ? service.ready.size() : service.schedule.size());
}

}  // namespace

Balancer::Balancer(uint64_t seed)
    : services_(kServicesMax), endpoints_(std::make_unique<EndpointState[]>(kEndpointsMax)), random_(seed | 1) {}

void Balancer::AdoptServices(const BackendMap& map) {
  for (ServiceHandle handle = 0; handle < kServicesMax; ++handle) {
    const ServiceEntry* entry = handle < map.services.size() ? map.services[handle].get() : nullptr;
    if (entry != services_[handle].entry) Replace(handle, entry);
  }
}

void Balancer::Replace(ServiceHandle handle, const ServiceEntry* entry) {
  ServiceState& state = services_[handle];
  if (state.entry != nullptr) {
    for (const EndpointEntry& endpoint : state.entry->ready) {
      endpoints_[endpoint.handle].service = kNoHandle;
      left_.push_back(endpoint.handle);
    }
  } else if (entry != nullptr) {
    state.cursor = Random(1u << 16);  // workers start at different places
  }
  state.entry = entry;
  state.least.reset();
  if (entry == nullptr) return;
  for (uint32_t i = 0; i < entry->ready.size(); ++i) {
    EndpointState& endpoint = endpoints_[entry->ready[i].handle];
    endpoint.service = handle;
    endpoint.position = i;
  }
  std::erase_if(left_, [this](EndpointHandle left) { return endpoints_[left].service != kNoHandle; });
  if (entry->balance != Balance::kLeastRequests) return;
  state.least = std::make_unique<LeastQueues>();
  state.least->heads.fill(kNoHandle);
  state.least->tails.fill(kNoHandle);
  uint32_t weight_min = ~0u;
  for (const EndpointEntry& endpoint : entry->ready) weight_min = std::min(weight_min, endpoint.weight);
  state.least->weight_min = weight_min;
  for (const EndpointEntry& endpoint : entry->ready) {
    Enqueue(*state.least, endpoint.handle, BucketOf(state, endpoint.handle));
  }
}

const EndpointEntry* Balancer::Choose(ServiceHandle service, const EndpointHandle* tried, uint32_t tried_count,
                                      uint64_t now_us) {
  ServiceState& state = services_[service];
  if (state.entry == nullptr || state.entry->ready.empty()) return nullptr;
  const EndpointEntry* choice = Pick(state, {tried, tried_count, now_us, true});
  return choice != nullptr ? choice : Pick(state, {tried, tried_count, now_us, false});
}

const EndpointEntry* Balancer::Pick(ServiceState& state, const Exclusion& exclusion) {
  switch (state.entry->balance) {
    case Balance::kLeastRequests:
      return PickLeast(state, exclusion);
    case Balance::kRandomOfTwo:
      return PickRandomOfTwo(state, exclusion);
    case Balance::kRoundRobin:
      break;
  }
  return PickRoundRobin(state, exclusion);
}

bool Balancer::Excluded(EndpointHandle handle, const Exclusion& exclusion) const {
  for (uint32_t i = 0; i < exclusion.tried_count; ++i) {
    if (exclusion.tried[i] == handle) return true;
  }
  return exclusion.cooling && endpoints_[handle].cool_until_us > exclusion.now_us;
}

const EndpointEntry* Balancer::PickRoundRobin(ServiceState& state, const Exclusion& exclusion) {
  const uint32_t steps = Steps(*state.entry);
  for (uint32_t i = 0; i < steps; ++i) {
    if (++state.cursor >= steps) state.cursor = state.cursor % steps;
    const EndpointEntry& endpoint = At(*state.entry, state.cursor);
    if (!Excluded(endpoint.handle, exclusion)) return &endpoint;
  }
  return nullptr;
}

const EndpointEntry* Balancer::PickRandomOfTwo(ServiceState& state, const Exclusion& exclusion) {
  const uint32_t steps = Steps(*state.entry);
  const EndpointEntry& a = At(*state.entry, Random(steps));
  const EndpointEntry& b = At(*state.entry, Random(steps));
  const bool a_out = Excluded(a.handle, exclusion), b_out = Excluded(b.handle, exclusion);
  if (a_out && b_out) return PickRoundRobin(state, exclusion);
  if (a_out || b_out) return a_out ? &b : &a;
  const uint64_t load_a = uint64_t{endpoints_[a.handle].in_flight} * b.weight;
  const uint64_t load_b = uint64_t{endpoints_[b.handle].in_flight} * a.weight;
  return load_b < load_a ? &b : &a;
}

const EndpointEntry* Balancer::PickLeast(ServiceState& state, const Exclusion& exclusion) {
  const LeastQueues& queues = *state.least;
  for (uint32_t word = 0; word < queues.occupied.size(); ++word) {
    for (uint64_t bits = queues.occupied[word]; bits != 0; bits &= bits - 1) {
      const uint32_t bucket = word * 64 + static_cast<uint32_t>(std::countr_zero(bits));
      for (EndpointHandle h = queues.heads[bucket]; h != kNoHandle; h = endpoints_[h].next) {
        if (!Excluded(h, exclusion)) return &state.entry->ready[endpoints_[h].position];
      }
    }
  }
  return nullptr;
}

void Balancer::Acquire(EndpointHandle handle) {
  ++endpoints_[handle].in_flight;
  Requeue(handle);
}

void Balancer::Release(EndpointHandle handle) {
  --endpoints_[handle].in_flight;
  Requeue(handle);
}

void Balancer::Requeue(EndpointHandle handle) {
  if (endpoints_[handle].service == kNoHandle) return;
  ServiceState& state = services_[endpoints_[handle].service];
  if (state.least == nullptr) return;
  Dequeue(*state.least, handle);
  Enqueue(*state.least, handle, BucketOf(state, handle));
}

// Quarters of a request per unit of the smallest weight; loads beyond 255 requests an endpoint and worker count as equal.
uint32_t Balancer::BucketOf(const ServiceState& state, EndpointHandle handle) const {
  const EndpointState& endpoint = endpoints_[handle];
  const uint64_t load =
      uint64_t{endpoint.in_flight} * 4 * state.least->weight_min / state.entry->ready[endpoint.position].weight;
  return load < kBuckets ? static_cast<uint32_t>(load) : kBuckets - 1;
}

void Balancer::Enqueue(LeastQueues& queues, EndpointHandle handle, uint32_t bucket) {
  EndpointState& endpoint = endpoints_[handle];
  endpoint.bucket = bucket;
  endpoint.next = kNoHandle;
  endpoint.previous = queues.tails[bucket];
  if (endpoint.previous != kNoHandle) endpoints_[endpoint.previous].next = handle;
  else queues.heads[bucket] = handle;
  queues.tails[bucket] = handle;
  queues.occupied[bucket / 64] |= uint64_t{1} << (bucket % 64);
}

void Balancer::Dequeue(LeastQueues& queues, EndpointHandle handle) {
  const EndpointState& endpoint = endpoints_[handle];
  if (endpoint.previous != kNoHandle) endpoints_[endpoint.previous].next = endpoint.next;
  else queues.heads[endpoint.bucket] = endpoint.next;
  if (endpoint.next != kNoHandle) endpoints_[endpoint.next].previous = endpoint.previous;
  else queues.tails[endpoint.bucket] = endpoint.previous;
  if (queues.heads[endpoint.bucket] == kNoHandle) {
    queues.occupied[endpoint.bucket / 64] &= ~(uint64_t{1} << (endpoint.bucket % 64));
  }
}

uint32_t Balancer::Random(uint32_t below) {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return static_cast<uint32_t>((random_ >> 32) * below >> 32);
}

}  // namespace ringway::dp
