#include "dataplane/core/balance.h"

#include <algorithm>
#include <bit>

namespace ringway::dp {
namespace {

constexpr ServiceHandle kLeaving = kNoHandle - 1;  // while its service is replaced

}  // namespace

Balancer::Balancer(uint64_t seed)
    : services_(kServicesMax),
      endpoints_(std::make_unique<EndpointState[]>(kEndpointsMax)),
      health_(std::make_unique<Health[]>(kEndpointsMax)),
      random_(seed | 1) {}

void Balancer::AdoptServices(const BackendMap& map, uint64_t now_us) {
  for (ServiceHandle handle = 0; handle < kServicesMax; ++handle) {
    const ServiceEntry* entry = handle < map.services.size() ? map.services[handle].get() : nullptr;
    if (entry == services_[handle].entry) continue;
    Replace(handle, entry, now_us);
    changed_.push_back(handle);
  }
}

void Balancer::Replace(ServiceHandle handle, const ServiceEntry* entry, uint64_t now_us) {
  ServiceState& state = services_[handle];
  const size_t left_before = left_.size();
  if (state.entry != nullptr) Leave(*state.entry);
  else if (entry != nullptr) state.cursor = Random(1u << 16);  // workers start at different places
  state.entry = entry;
  state.steps = 0;
  state.least.reset();
  state.ramp_until_us = 0;
  if (entry != nullptr) {
    state.ready = entry->ready.data();
    state.schedule = entry->schedule.empty() ? nullptr : entry->schedule.data();
    state.steps = static_cast<uint32_t>(entry->schedule.empty() ? entry->ready.size() : entry->schedule.size());
    state.balance = entry->balance;
    if (state.steps > 0) state.cursor %= state.steps;
    bool others_stay = false;
    for (const EndpointEntry& e : entry->ready) others_stay = others_stay || endpoints_[e.handle].service == kLeaving;
    state.in_flight_max = entry->in_flight_max != 0 ? entry->in_flight_max : ~0u;
    Join(handle, *entry, others_stay, now_us);
    if (entry->balance == Balance::kLeastRequests) BuildQueues(state, now_us);
  }
  size_t kept = left_before;
  for (size_t i = left_before; i < left_.size(); ++i) {
    EndpointState& endpoint = endpoints_[left_[i]];
    if (endpoint.service != kLeaving) continue;
    endpoint.service = kNoHandle;
    left_[kept++] = left_[i];
  }
  left_.resize(kept);
}

void Balancer::Leave(const ServiceEntry& entry) {
  for (const EndpointEntry& endpoint : entry.ready) {
    endpoints_[endpoint.handle].service = kLeaving;
    endpoints_[endpoint.handle].bucket = EndpointState::kUnqueued;
    left_.push_back(endpoint.handle);
  }
}

void Balancer::Join(ServiceHandle handle, const ServiceEntry& entry, bool others_stay, uint64_t now_us) {
  ServiceState& state = services_[handle];
  for (uint32_t i = 0; i < entry.ready.size(); ++i) {
    EndpointState& endpoint = endpoints_[entry.ready[i].handle];
    Health& health = health_[entry.ready[i].handle];
    if (endpoint.service != kLeaving) {
      health = {};
      endpoint.streak.Clear();
      endpoint.latency_us = endpoint.rtt_us = 0;
      endpoint.failed_until_us = 0;
      if (others_stay && entry.slow_start_ms > 0) health.Ramp(now_us, entry.slow_start_ms);
      endpoint.out_until_us = health.OutUntilUs();
    }
    endpoint.service = handle;
    endpoint.position = i;
    state.ramp_until_us = std::max(state.ramp_until_us, health.ramp_end_us);
  }
}

void Balancer::BuildQueues(ServiceState& state, uint64_t now_us) {
  state.least = std::make_unique<LeastQueues>();
  state.least->heads.fill(kNoHandle);
  state.least->tails.fill(kNoHandle);
  uint32_t weight_min = ~0u;
  for (const EndpointEntry& endpoint : state.entry->ready) weight_min = std::min(weight_min, endpoint.weight);
  state.least->weight_min = weight_min;
  state.review_us = ~0ull;
  for (const EndpointEntry& endpoint : state.entry->ready) {
    const uint64_t out_until_us = endpoints_[endpoint.handle].out_until_us;
    const bool aside = out_until_us > now_us;
    if (aside) state.review_us = std::min(state.review_us, out_until_us);
    Enqueue(*state.least, endpoint.handle, aside ? kAside : BucketOf(state, endpoint.handle));
  }
}

Choice Balancer::ChooseBySearch(ServiceState& state, const EndpointHandle* tried, uint32_t tried_count, uint64_t now_us) {
  if (state.steps == 0) return {};
  Search search{tried, tried_count, state.in_flight_max, now_us};
  if (now_us < state.ramp_until_us) {
    if (const EndpointEntry* newcomer = PickRamping(state, search); newcomer != nullptr) return {newcomer};
  }
  if (const EndpointEntry* choice = Pick(state, search); choice != nullptr) return {choice};
  return ChooseHard(state, search);
}

// No plain one can be had.
Choice Balancer::ChooseHard(ServiceState& state, Search& search) {
  search.reach = Reach::kRamping;
  const EndpointEntry* choice = Pick(state, search);
  if (choice != nullptr || search.full) return {choice, choice == nullptr};
  search.reach = Reach::kBarred;
  choice = Pick(state, search);
  return {choice, choice == nullptr && search.full};
}

const EndpointEntry* Balancer::Pick(ServiceState& state, Search& search) {
  switch (state.balance) {
    case Balance::kLeastRequests:
      return PickLeast(state, search);
    case Balance::kRandomOfTwo:
      return PickOfTwo(state, search, [](const EndpointState& endpoint) { return uint64_t{endpoint.in_flight}; });
    case Balance::kLeastLatency:
      return PickOfTwo(state, search, [&](const EndpointState& endpoint) { return LatencyLoad(endpoint, search.now_us); });
    case Balance::kRoundRobin:
      break;
  }
  return PickRoundRobin(state, search);
}

// Endpoints are drawn as weights have it, and one that ramps is taken with the probability of its share: its part of the
// requests, not its idleness, decides, whatever the policy. A plain one drawn means the ordinary rule. Where nearly all ramp the
// few others must not carry them all: after some refusals the last one is taken.
const EndpointEntry* Balancer::PickRamping(ServiceState& state, Search search) {
  search.reach = Reach::kRamping;
  const EndpointEntry* last = nullptr;
  for (uint32_t i = 0; i < kRefusalsMax; ++i) {
    const EndpointEntry& drawn = At(state, Random(state.steps));
    if (endpoints_[drawn.handle].out_until_us <= search.now_us) return nullptr;
    if (Excluded(drawn.handle, search)) continue;
    if (Random(Health::kShareWhole) < health_[drawn.handle].ShareAt(search.now_us)) return &drawn;
    last = &drawn;
  }
  return last;
}

bool Balancer::Reaches(EndpointHandle handle, const Search& search) const {
  if (search.reach == Reach::kPlain) return false;
  return search.reach == Reach::kBarred || health_[handle].barred_until_us <= search.now_us;
}

const EndpointEntry* Balancer::PickRoundRobin(ServiceState& state, Search& search) {
  const uint32_t steps = state.steps;
  for (uint32_t i = 0; i < steps; ++i) {
    const EndpointEntry& endpoint = Step(state);
    if (!Excluded(endpoint.handle, search)) return &endpoint;
  }
  return nullptr;
}

template <class Load>
const EndpointEntry* Balancer::PickOfTwo(ServiceState& state, Search& search, Load&& load) {
  const uint32_t steps = state.steps;
  const EndpointEntry& a = At(state, Random(steps));
  const EndpointEntry& b = At(state, Random(steps));
  const bool a_out = Excluded(a.handle, search), b_out = Excluded(b.handle, search);
  if (a_out && b_out) return PickRoundRobin(state, search);
  if (a_out || b_out) return a_out ? &b : &a;
  return load(endpoints_[b.handle]) * a.weight < load(endpoints_[a.handle]) * b.weight ? &b : &a;
}

// What the next request is likely to wait. Below 2^48: times a weight it fits. One of which nothing is known is tried by one
// request; until that is answered it comes last, as does one that fails.
uint64_t Balancer::LatencyLoad(const EndpointState& endpoint, uint64_t now_us) const {
  if (endpoint.failed_until_us > now_us) return kLatencyMaxUs * (uint64_t{endpoint.in_flight} + 1);
  const uint64_t since_us = now_us - endpoint.latency_at_us;
  uint64_t latency_us = endpoint.latency_us;
  // Nobody asks a slow one again before this has faded. Close to its last answer it hardly has, and the division is saved.
  if (since_us > kLatencyFadesUs / 16) latency_us = latency_us * kLatencyFadesUs / (kLatencyFadesUs + since_us);
  latency_us = std::max<uint64_t>(latency_us, endpoint.rtt_us);
  if (latency_us == 0) return endpoint.in_flight == 0 ? 0 : kLatencyMaxUs * (uint64_t{endpoint.in_flight} + 1);
  return latency_us * (uint64_t{endpoint.in_flight} + 1);
}

void Balancer::NoteLatency(EndpointHandle handle, uint64_t us, uint64_t now_us) {
  EndpointState& endpoint = endpoints_[handle];
  us = std::min(us, kLatencyMaxUs);
  if (us < endpoint.latency_us) {
    const uint64_t since_us = std::min(now_us - endpoint.latency_at_us, 60 * kLatencyFadesUs);
    us = (endpoint.latency_us * kLatencyFadesUs + us * since_us) / (kLatencyFadesUs + since_us);
  }
  endpoint.latency_us = static_cast<uint32_t>(us);
  endpoint.latency_at_us = now_us;
  endpoint.failed_until_us = 0;
}

void Balancer::NoteFailedLatency(EndpointHandle handle, uint64_t us, uint64_t now_us) {
  EndpointState& endpoint = endpoints_[handle];
  if (us > endpoint.latency_us) NoteLatency(handle, us, now_us);
  endpoint.failed_until_us = now_us + kFailedUs;
}

const EndpointEntry* Balancer::PickLeast(ServiceState& state, Search& search) {
  if (search.now_us >= state.review_us) Review(state, search.now_us);
  const LeastQueues& queues = *state.least;
  const auto first = [&](uint32_t bucket) -> const EndpointEntry* {
    for (EndpointHandle h = queues.heads[bucket]; h != kNoHandle; h = endpoints_[h].next) {
      if (!Excluded(h, search)) return &state.entry->ready[endpoints_[h].position];
    }
    return nullptr;
  };
  for (uint32_t word = 0; word < queues.occupied.size(); ++word) {
    for (uint64_t bits = queues.occupied[word]; bits != 0; bits &= bits - 1) {
      const uint32_t bucket = word * 64 + static_cast<uint32_t>(std::countr_zero(bits));
      if (const EndpointEntry* choice = first(bucket); choice != nullptr) return choice;
    }
  }
  return search.reach == Reach::kPlain ? nullptr : first(kAside);
}

// Those aside that are plain again take their place by load.
void Balancer::Review(ServiceState& state, uint64_t now_us) {
  uint64_t next_us = ~0ull;
  for (EndpointHandle h = state.least->heads[kAside]; h != kNoHandle;) {
    const EndpointHandle next = endpoints_[h].next;
    if (endpoints_[h].out_until_us > now_us) {
      next_us = std::min(next_us, endpoints_[h].out_until_us);
    } else {
      Dequeue(*state.least, h);
      Enqueue(*state.least, h, BucketOf(state, h));
    }
    h = next;
  }
  state.review_us = next_us == ~0ull ? next_us : std::max(next_us, now_us + kReviewUs);
}

void Balancer::Requeue(EndpointHandle handle) {
  ServiceState& state = services_[endpoints_[handle].service];
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

FailureVerdict Balancer::NoteFailure(EndpointHandle handle, EjectionReason reason, uint64_t attempt_us, uint64_t now_us) {
  EndpointState& endpoint = endpoints_[handle];
  Health& health = health_[handle];
  if (endpoint.service == kNoHandle || attempt_us < health.ejected_until_us) return FailureVerdict::kCounted;
  const ServiceEntry& service = *services_[endpoint.service].entry;
  if (!EjectionDue(handle, service, reason, now_us)) {
    if (reason != EjectionReason::kConnect) return FailureVerdict::kCounted;
    health.CoolOff(now_us);
    SetOut(handle);
    return FailureVerdict::kCounted;
  }
  const bool ejected = MayEject(service, now_us);
  if (ejected) {
    health.Eject(service, now_us, Random(~0u));
    endpoint.streak.Clear();
  } else {
    health.CoolOff(now_us);
    endpoint.streak.ClearCounts();
  }
  SetOut(handle);
  return ejected ? FailureVerdict::kEjected : FailureVerdict::kDenied;
}

bool Balancer::EjectionDue(EndpointHandle handle, const ServiceEntry& service, EjectionReason reason, uint64_t now_us) {
  Streak& streak = endpoints_[handle].streak;
  Health& health = health_[handle];
  if (now_us >= health.ramp_end_us && streak.answered()) health.level = 0;
  const bool probation = health.OnProbation(now_us);
  if (reason == EjectionReason::k5xx) streak.Answered5xx();
  else streak.Failed();
  if (service.failures_max == 0) return false;
  if (reason != EjectionReason::k5xx) return probation || streak.failures() >= service.failures_max;
  return (probation && !streak.answered()) || streak.five() >= service.responses_5xx_max;
}

bool Balancer::MayEject(const ServiceEntry& service, uint64_t now_us) const {
  uint32_t ejected = 0;
  for (const EndpointEntry& endpoint : service.ready) ejected += health_[endpoint.handle].ejected_until_us > now_us ? 1 : 0;
  return ejected < service.ejections_max;
}

void Balancer::SetOut(EndpointHandle handle) {
  EndpointState& endpoint = endpoints_[handle];
  ServiceState& state = services_[endpoint.service];
  endpoint.out_until_us = health_[handle].OutUntilUs();
  state.ramp_until_us = std::max(state.ramp_until_us, health_[handle].ramp_end_us);
  if (state.least == nullptr) return;
  Dequeue(*state.least, handle);
  Enqueue(*state.least, handle, kAside);
  state.review_us = std::min(state.review_us, endpoint.out_until_us);
}

void Balancer::Enqueue(LeastQueues& queues, EndpointHandle handle, uint32_t bucket) {
  EndpointState& endpoint = endpoints_[handle];
  endpoint.bucket = bucket;
  endpoint.next = kNoHandle;
  endpoint.previous = queues.tails[bucket];
  if (endpoint.previous != kNoHandle) endpoints_[endpoint.previous].next = handle;
  else queues.heads[bucket] = handle;
  queues.tails[bucket] = handle;
  if (bucket == kAside) return;
  queues.occupied[bucket / 64] |= uint64_t{1} << (bucket % 64);
}

void Balancer::Dequeue(LeastQueues& queues, EndpointHandle handle) {
  const EndpointState& endpoint = endpoints_[handle];
  if (endpoint.previous != kNoHandle) endpoints_[endpoint.previous].next = endpoint.next;
  else queues.heads[endpoint.bucket] = endpoint.next;
  if (endpoint.next != kNoHandle) endpoints_[endpoint.next].previous = endpoint.previous;
  else queues.tails[endpoint.bucket] = endpoint.previous;
  if (endpoint.bucket != kAside && queues.heads[endpoint.bucket] == kNoHandle) {
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
