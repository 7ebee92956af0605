// Cost of the deadlines of a request: mostly later ones, which are a store each. And of a turn of the wheel with many linked.
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
  uint64_t tick = 0;
  for (auto _ : state) {
    if (tick == 0) {
      wheel.Clear(0);
      tick = TimerWheel::kSlots - 2;
    }
    wheel.Set(0, --tick * TimerWheel::kTickUs);
  }
}
BENCHMARK(SetSooner);

// A turn of the loop, with as many timers linked as there are connections; each is due within a minute and then set anew.
void Advance(benchmark::State& state) {
  const auto timers = static_cast<uint32_t>(state.range(0));
  TimerWheel wheel(timers);
  uint64_t now = 1000000;
  for (uint32_t t = 0; t < timers; ++t) {
    wheel.Init(t);
    wheel.Set(t, now + uint64_t{t} * 60000000 / timers);
  }
  uint64_t fired = 0;
  for (auto _ : state) {
    now += TimerWheel::kTickUs;
    wheel.Advance(now, [&](uint32_t timer) {
      ++fired;
      wheel.Set(timer, now + 60000000);
    });
    benchmark::DoNotOptimize(wheel.WaitMs(now, 1000));
  }
  state.counters["fired"] = benchmark::Counter(static_cast<double>(fired), benchmark::Counter::kAvgIterations);
}
BENCHMARK(Advance)->Arg(100)->Arg(10000);

}  // namespace
}  // namespace ringway::dp
