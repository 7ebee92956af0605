// Cost of the deadlines of a request: mostly later ones, which are a store each.
#include <benchmark/benchmark.h>

#include "dataplane/core/timer_wheel.h"

namespace ringway::dp {
namespace {

void SetLater(benchmark::State& state) {
  TimerWheel wheel(1024);
  for (uint32_t t = 0; t < 1024; ++t) wheel.Init(t);
  uint64_t now = 1000000;
  uint32_t timer = 0;
  for (auto _ : state) {
    wheel.Set(timer, now += 10);
    timer = (timer + 1) % 1024;
  }
}
BENCHMARK(SetLater);

void SetSooner(benchmark::State& state) {
  TimerWheel wheel(1);
  wheel.Init(0);
  uint64_t deadline = uint64_t{1} << 40;
  for (auto _ : state) wheel.Set(0, deadline -= TimerWheel::kTickUs);
}
BENCHMARK(SetSooner);

}  // namespace
}  // namespace ringway::dp
