// See checker.h. Each endpoint's coroutine holds the shared State and its own Watch, and ends when the Watch is stopped.
#include "controlplane/health/checker.h"

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <utility>

#include "common/log/log.h"
#include "controlplane/health/probe.h"
#include "controlplane/health/tally.h"

namespace ringway::cp {

namespace asio = boost::asio;
using std::chrono::milliseconds;

namespace {

constexpr std::chrono::seconds kNotMadeEvery{60};

struct Watch {
  Watch(asio::io_context& io, std::string service_name, HealthCheck settings, CheckTarget whom)
      : service(std::move(service_name)), check(std::move(settings)), target(std::move(whom)), tally(check.rise, check.fall), timer(io) {}

  const std::string service;
  HealthCheck check;
  const CheckTarget target;
  Tally tally;
  asio::steady_timer timer;  // the pause between two checks, and the wait for a turn
  bool stopped = false;
  bool has_turn = false;
};

}  // namespace

struct Checker::State {
  explicit State(asio::io_context& context, size_t max) : io(context), running_max(max), random(std::random_device{}()) {}

  // Waits until fewer than running_max checks run. First come, first served.
  asio::awaitable<void> TakeTurn(std::shared_ptr<Watch> watch) {
    if (running < running_max) {
      ++running;
    } else {
      waiting.push_back(watch);
      watch->has_turn = false;
      while (!watch->has_turn && !watch->stopped) {
        watch->timer.expires_at(asio::steady_timer::time_point::max());
        boost::system::error_code ignored;
        co_await watch->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      }
      if (!watch->has_turn) {
        std::erase(waiting, watch);
        co_return;
      }
    }
    watch->has_turn = true;
    running_peak = std::max(running_peak, running);
  }

  void GiveTurn(Watch& watch) {
    if (!std::exchange(watch.has_turn, false)) return;
    --running;
    while (!waiting.empty()) {
      const std::shared_ptr<Watch> next = waiting.front();
      waiting.pop_front();
      if (next->stopped) continue;
      ++running;
      next->has_turn = true;
      next->timer.cancel();
      return;
    }
  }

  milliseconds Pause(uint32_t interval_ms, bool first) {
    // After the first check anywhere in the interval, so that endpoints that came together are not checked together for ever.
    const double low = first ? 0.2 : 0.9;
    const double high = first ? 1.0 : 1.1;
    return milliseconds(static_cast<int64_t>(interval_ms * std::uniform_real_distribution<double>(low, high)(random)));
  }

  // What changes is logged by the resolver, who knows what it means for the endpoint.
  void Judge(Watch& watch, const ProbeResult& result) {
    ++checks_total;
    if (result.not_made) return SayNotMade(result);
    const bool changed = watch.tally.Count(result.success);
    if (watch.tally.up()) {
      if (changed) failing[watch.service].erase(watch.target.id);
    } else if (!result.success) {
      failing[watch.service][watch.target.id] = {watch.target.generation, result.reason};
    }
    if (changed && on_change) on_change(watch.service);
  }

  // A new watch finds a failure of its endpoint only where Remember has put it.
  void Recall(Watch& watch) {
    CheckFailures& failures = failing[watch.service];
    const auto failure = failures.find(watch.target.id);
    if (failure == failures.end()) return;
    if (failure->second.generation == watch.target.generation) {
      watch.tally.StartDown();
    } else {
      failures.erase(failure);
    }
  }

  void SayNotMade(const ProbeResult& result) {
    const auto now = std::chrono::steady_clock::now();
    if (now < not_made_told_at + kNotMadeEvery) return;
    not_made_told_at = now;
    spdlog::error("active checks cannot be made, endpoints stay as they are: {}", result.reason);
  }

  asio::io_context& io;
  const size_t running_max;
  std::chrono::steady_clock::time_point not_made_told_at{};
  std::mt19937 random;
  std::function<void(const std::string&)> on_change;
  std::map<std::string, std::map<std::string, std::shared_ptr<Watch>>> services;
  std::map<std::string, CheckFailures> failing;  // by service; those whose tally is down, or was before the restart
  std::deque<std::shared_ptr<Watch>> waiting;
  size_t running = 0;
  size_t running_peak = 0;
  uint64_t checks_total = 0;
};

namespace {

void Stop(Watch& watch) {
  watch.stopped = true;
  watch.timer.cancel();
}

template <typename State>
asio::awaitable<void> Run(std::shared_ptr<State> state, std::shared_ptr<Watch> watch) {
  for (bool first = true; !watch->stopped; first = false) {
    co_await state->TakeTurn(watch);
    if (!watch->stopped) {
      const HealthCheck check = watch->check;
      const std::string address = watch->target.address;
      const ProbeResult result = co_await ProbeOnce(check, address, watch->target.port);
      if (!watch->stopped) state->Judge(*watch, result);
    }
    state->GiveTurn(*watch);
    if (watch->stopped) break;
    watch->timer.expires_after(state->Pause(watch->check.interval_ms, first));
    boost::system::error_code ignored;
    co_await watch->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

}  // namespace

Checker::Checker(asio::io_context& io, size_t running_max) : state_(std::make_shared<State>(io, running_max)) {}

Checker::~Checker() {
  state_->on_change = nullptr;
  for (auto& [name, watches] : state_->services) {
    for (auto& [id, watch] : watches) Stop(*watch);
  }
}

void Checker::OnChange(std::function<void(const std::string&)> callback) { state_->on_change = std::move(callback); }

void Checker::SetTargets(const std::string& service, const std::optional<HealthCheck>& check, const std::vector<CheckTarget>& targets) {
  if (!check) return RemoveService(service);
  std::set<std::string> wanted;
  for (const CheckTarget& target : targets) wanted.insert(target.id);
  std::vector<std::string> unwanted;
  for (const auto& [id, watch] : state_->services[service]) {
    if (wanted.count(id) == 0) unwanted.push_back(id);
  }
  for (const std::string& id : unwanted) RemoveTarget(service, id);
  for (const CheckTarget& target : targets) SetTarget(service, *check, target);
}

void Checker::SetTarget(const std::string& service, const HealthCheck& check, const CheckTarget& target) {
  std::shared_ptr<Watch>& watch = state_->services[service][target.id];
  if (watch && watch->target == target) {
    if (watch->check != check) {
      watch->check = check;
      watch->tally.SetThresholds(check.rise, check.fall);
    }
    return;
  }
  if (watch) {
    Stop(*watch);
    state_->failing[service].erase(target.id);
  }
  watch = std::make_shared<Watch>(state_->io, service, check, target);
  state_->Recall(*watch);
  asio::co_spawn(state_->io, Run(state_, watch), asio::detached);
}

void Checker::RemoveTarget(const std::string& service, const std::string& id) {
  const auto watches = state_->services.find(service);
  if (watches == state_->services.end()) return;
  const auto found = watches->second.find(id);
  if (found == watches->second.end()) return;
  Stop(*found->second);
  watches->second.erase(found);
  state_->failing[service].erase(id);
}

void Checker::RemoveService(const std::string& service) {
  for (auto& [id, watch] : state_->services[service]) Stop(*watch);
  state_->services.erase(service);
  state_->failing.erase(service);
}

void Checker::Remember(const std::string& service, CheckFailures failures) { state_->failing[service] = std::move(failures); }

const CheckFailures& Checker::Failing(const std::string& service) const {
  static const CheckFailures kNone;
  const auto found = state_->failing.find(service);
  return found == state_->failing.end() ? kNone : found->second;
}

size_t Checker::targets() const {
  size_t count = 0;
  for (const auto& [name, watches] : state_->services) count += watches.size();
  return count;
}

uint64_t Checker::checks_total() const { return state_->checks_total; }
size_t Checker::running_peak() const { return state_->running_peak; }

}  // namespace ringway::cp
