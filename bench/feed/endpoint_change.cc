// One endpoint's change in the dataplane: decoded, made a snapshot, made a map, taken by a worker, reported on.
#include <benchmark/benchmark.h>

#include <memory>

#include "bench/feed/pools.h"
#include "common/api/feed_frame.h"
#include "common/api/feed_json.h"
#include "dataplane/core/balance.h"
#include "dataplane/feed/in_flight.h"
#include "dataplane/feed/map_builder.h"
#include "dataplane/feed/publisher.h"

namespace ringway::dp {
namespace {

using bench::NextDelta;
using bench::SnapshotOf;
using SnapshotPtr = std::shared_ptr<const api::Snapshot>;

void Sizes(benchmark::internal::Benchmark* b) {
  for (const int endpoints : {10, 1000, 10000}) b->Args({endpoints, 1});
  b->Args({10000, 100});
  b->ArgNames({"endpoints", "services"});
}

SnapshotPtr First(const benchmark::State& state) {
  return std::make_shared<const api::Snapshot>(
      SnapshotOf(static_cast<uint64_t>(state.range(0)), static_cast<uint64_t>(state.range(1))));
}

SnapshotPtr After(const SnapshotPtr& before) {
  api::Snapshot next = *before;
  if (!api::ApplyDelta(NextDelta(*before), next).ok()) std::abort();
  return std::make_shared<const api::Snapshot>(std::move(next));
}

void DecodeDelta(benchmark::State& state) {
  const std::string text = api::EncodeMessage(NextDelta(*First(state)));
  for (auto _ : state) benchmark::DoNotOptimize(api::DecodeMessage(text));
  state.counters["bytes"] = static_cast<double>(api::Frame(text).size());
}
BENCHMARK(DecodeDelta)->Apply(Sizes);

void ApplyDelta(benchmark::State& state) {
  SnapshotPtr snapshot = First(state);
  for (auto _ : state) snapshot = After(snapshot);
}
BENCHMARK(ApplyDelta)->Apply(Sizes);

void BuildMaps(benchmark::State& state, const SnapshotPtr& even) {
  const auto shared = std::make_unique<WorkerShared>();
  MapBuilder builder({shared.get()});
  const SnapshotPtr odd = After(even);
  if (!builder.Build(even).ok()) std::abort();
  bool at_odd = false;
  for (auto _ : state) {
    at_odd = !at_odd;
    benchmark::DoNotOptimize(builder.Build(at_odd ? odd : even));
  }
}
void BuildMap(benchmark::State& state) { BuildMaps(state, First(state)); }
BENCHMARK(BuildMap)->Apply(Sizes);

// The order of round robin is then made anew as well.
void BuildMapOfDifferentWeights(benchmark::State& state) {
  api::Snapshot weighted = *First(state);
  uint32_t number = 0;
  for (api::Service& service : weighted.services) {
    for (api::Endpoint& endpoint : service.endpoints) endpoint.weight = 1 + number++ % 3;
  }
  BuildMaps(state, std::make_shared<const api::Snapshot>(std::move(weighted)));
}
BENCHMARK(BuildMapOfDifferentWeights)->Apply(Sizes);

void AdoptMap(benchmark::State& state) {
  const auto shared = std::make_unique<WorkerShared>();
  MapBuilder builder({shared.get()});
  const SnapshotPtr even = First(state), odd = After(even);
  const auto first = *builder.Build(even), second = *builder.Build(odd);
  Balancer balancer(1);
  balancer.Adopt(*first, 0, [](EndpointHandle) {}, [](ServiceHandle) {});
  uint64_t now_us = 1;
  for (auto _ : state) {
    balancer.Adopt(*second, ++now_us, [](EndpointHandle) {}, [](ServiceHandle) {});
    balancer.Adopt(*first, ++now_us, [](EndpointHandle) {}, [](ServiceHandle) {});
  }
  state.SetItemsProcessed(2 * static_cast<int64_t>(state.iterations()));
}
BENCHMARK(AdoptMap)->Apply(Sizes);

uint64_t NothingElsewhere(const std::string&, const api::Endpoint&) { return 0; }

void ReportInFlight(benchmark::State& state) {
  const auto shared = std::make_unique<WorkerShared>();
  MapBuilder builder({shared.get()});
  if (!builder.Build(After(First(state))).ok()) std::abort();
  for (auto _ : state) benchmark::DoNotOptimize(InFlightOnDraining(builder.directory(), {shared.get()}, NothingElsewhere));
}
BENCHMARK(ReportInFlight)->Apply(Sizes);

// All of it, as the feed's thread does it; what the worker does is AdoptMap, on its own thread.
void FromFrameToMap(benchmark::State& state) {
  const auto shared = std::make_unique<WorkerShared>();
  MapBuilder builder({shared.get()});
  Publisher publisher({{shared.get(), [] {}}});
  SnapshotPtr snapshot = First(state);
  publisher.Publish(*builder.Build(snapshot));
  for (auto _ : state) {
    state.PauseTiming();
    const std::string text = api::EncodeMessage(NextDelta(*snapshot));
    state.ResumeTiming();
    const auto message = api::DecodeMessage(text);
    api::Snapshot next = *snapshot;
    if (!api::ApplyDelta(std::get<api::Delta>(*message), next).ok()) std::abort();
    snapshot = std::make_shared<const api::Snapshot>(std::move(next));
    auto map = builder.Build(snapshot);
    const uint64_t version = (*map)->version;
    publisher.Publish(*std::move(map));
    shared->map_version.store(version);
    publisher.Collect();
    benchmark::DoNotOptimize(InFlightOnDraining(builder.directory(), {shared.get()}, NothingElsewhere));
  }
}
BENCHMARK(FromFrameToMap)->Apply(Sizes);

// What keeping the snapshot costs, at most once a second on a thread of its own (without the disk).
void EncodeWholeSnapshot(benchmark::State& state) {
  const SnapshotPtr snapshot = First(state);
  size_t bytes = 0;
  for (auto _ : state) bytes = api::EncodeMessage(*snapshot).size();
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(EncodeWholeSnapshot)->Apply(Sizes);

}  // namespace
}  // namespace ringway::dp
