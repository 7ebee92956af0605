// Cost of choosing an endpoint, and of taking over a new map, by policy and number of endpoints.
#include <benchmark/benchmark.h>

#include <memory>

#include "dataplane/core/balance.h"

namespace ringway::dp {
namespace {

BackendMap MapOf(Balance balance, uint32_t endpoints) {
  auto service = std::make_shared<ServiceEntry>();
  service->handle = 0;
  service->balance = balance;
  for (uint32_t i = 0; i < endpoints; ++i) service->ready.push_back({i, {}, 1});
  BackendMap map;
  map.services.push_back(service);
  return map;
}

void Choose(benchmark::State& state, Balance balance) {
  Balancer balancer(1);
  const BackendMap map = MapOf(balance, static_cast<uint32_t>(state.range(0)));
  balancer.Adopt(map, 0, [](EndpointHandle) {}, [](ServiceHandle) {});
  for (auto _ : state) {
    const EndpointEntry* endpoint = balancer.Choose(0, nullptr, 0, 0).endpoint;
    balancer.Acquire(endpoint->handle);
    balancer.Release(endpoint->handle);
  }
}
BENCHMARK_CAPTURE(Choose, round_robin, Balance::kRoundRobin)->RangeMultiplier(10)->Range(1, 10000);
BENCHMARK_CAPTURE(Choose, least_requests, Balance::kLeastRequests)->RangeMultiplier(10)->Range(1, 10000);
BENCHMARK_CAPTURE(Choose, random_of_two, Balance::kRandomOfTwo)->RangeMultiplier(10)->Range(1, 10000);
BENCHMARK_CAPTURE(Choose, least_latency, Balance::kLeastLatency)->RangeMultiplier(10)->Range(1, 10000);

void AdoptOneChangedService(benchmark::State& state) {
  Balancer balancer(1);
  const BackendMap a = MapOf(Balance::kRoundRobin, static_cast<uint32_t>(state.range(0)));
  const BackendMap b = MapOf(Balance::kRoundRobin, static_cast<uint32_t>(state.range(0)));
  for (auto _ : state) {
    balancer.Adopt(a, 0, [](EndpointHandle) {}, [](ServiceHandle) {});
    balancer.Adopt(b, 0, [](EndpointHandle) {}, [](ServiceHandle) {});
  }
}
BENCHMARK(AdoptOneChangedService)->RangeMultiplier(10)->Range(1, 10000);

}  // namespace
}  // namespace ringway::dp
