// sim_test --seed=N [--trace] | --seeds=FROM-TO: runs the session machine under the simulated ring. The same seed is the same
// run. On failure: the seed, what must not be, and the last lines of the trace; exit status 1.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "tests/sim/world.h"

namespace {

using ringway::sim::Totals;
using ringway::sim::Trace;
using ringway::sim::Violation;
using ringway::sim::World;

void Add(Totals& sum, const Totals& t) {
  sum.sessions += t.sessions;
  sum.requests += t.requests;
  sum.finals += t.finals;
  sum.own_replies += t.own_replies;
  sum.streams += t.streams;
  sum.cut += t.cut;
  sum.unanswered += t.unanswered;
  sum.faults += t.faults;
  sum.maps += t.maps;
  sum.waited += t.waited;
  sum.wait_timeouts += t.wait_timeouts;
  sum.wait_full += t.wait_full;
  sum.ejections += t.ejections;
  sum.ejections_denied += t.ejections_denied;
  sum.retries += t.retries;
  sum.retries_pooled += t.retries_pooled;
  sum.retries_denied += t.retries_denied;
  sum.upgrades += t.upgrades;
  sum.logged += t.logged;
  sum.log_dropped += t.log_dropped;
  sum.spliced += t.spliced;
  sum.received_now += t.received_now;
  sum.bulk_refused += t.bulk_refused;
  sum.splice_refused += t.splice_refused;
  sum.stuck += t.stuck;
}

// A crash, too, says which seed it was, and shows the trace as far as that still works.
uint64_t current_seed = 0;
const Trace* current_trace = nullptr;

void OnCrash(int signal) {
  std::signal(signal, SIG_DFL);
  std::printf("FAILED seed %llu: signal %d\n", static_cast<unsigned long long>(current_seed), signal);
  current_trace->PrintTail();
  std::fflush(stdout);
  std::raise(signal);
}

bool RunSeed(uint64_t seed, bool print, Totals& sum) {
  Trace trace(print);
  current_seed = seed;
  current_trace = &trace;
  auto world = std::unique_ptr<World>();
  try {
    world = std::make_unique<World>(seed, trace);
    world->Run();
    Add(sum, world->totals());
    return true;
  } catch (const Violation& violation) {
    trace.PrintTail();
    std::printf("FAILED seed %llu: %s\nrepeat with: sim_test --seed=%llu --trace\n", static_cast<unsigned long long>(seed),
                violation.what(), static_cast<unsigned long long>(seed));
    return false;
  }
}

int Usage() {
  std::fputs("usage: sim_test --seed=N [--trace] | --seeds=FROM-TO [--keep-going]\n", stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t from = 1, to = 0;
  bool print = false, keep_going = false;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    char* rest = nullptr;
    if (arg.starts_with("--seed=")) {
      from = to = std::strtoull(arg.c_str() + 7, &rest, 10);
    } else if (arg.starts_with("--seeds=")) {
      from = std::strtoull(arg.c_str() + 8, &rest, 10);
      if (*rest != '-') return Usage();
      to = std::strtoull(rest + 1, &rest, 10);
    } else if (arg == "--trace") {
      print = true;
    } else if (arg == "--keep-going") {
      keep_going = true;
    } else {
      return Usage();
    }
    if (rest != nullptr && *rest != 0) return Usage();
  }
  if (from > to) return Usage();
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(signal, OnCrash);
  Totals sum;
  uint64_t failed = 0;
  for (uint64_t seed = from; seed <= to; ++seed) {
    if (RunSeed(seed, print, sum)) continue;
    ++failed;
    if (!keep_going) return 1;
  }
  const auto show = [](uint64_t n) { return static_cast<unsigned long long>(n); };
  std::printf("seeds %llu  failed %llu  sessions %llu  requests %llu  responses %llu  own %llu  streams %llu  cut %llu  unanswered "
              "%llu  maps %llu  faults %llu\n", show(to - from + 1), show(failed), show(sum.sessions), show(sum.requests),
              show(sum.finals), show(sum.own_replies), show(sum.streams), show(sum.cut), show(sum.unanswered), show(sum.maps),
              show(sum.faults));
  std::printf("waited %llu  timed out %llu  too many %llu  ejections %llu  denied %llu  retries %llu  pooled %llu  denied %llu  "
              "upgrades %llu  logged %llu  dropped %llu\n", show(sum.waited), show(sum.wait_timeouts), show(sum.wait_full), show(sum.ejections),
              show(sum.ejections_denied), show(sum.retries), show(sum.retries_pooled), show(sum.retries_denied),
              show(sum.upgrades), show(sum.logged), show(sum.log_dropped));
  std::printf("bulk: bytes spliced %llu  through large buffers %llu  neither to be had %llu  splice refused %llu  stuck %llu\n",
              show(sum.spliced), show(sum.received_now), show(sum.bulk_refused), show(sum.splice_refused), show(sum.stuck));
  return failed == 0 ? 0 : 1;
}
