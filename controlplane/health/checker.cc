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
  std::string reason;
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
    if (!result.success) watch.reason = result.reason;
    if (!watch.tally.Count(result.success)) return;
    if (watch.tally.up()) watch.reason.clear();
    if (on_change) on_change(watch.service);
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
  auto before = std::move(state_->services[service]);
  auto& watches = state_->services[service];
  watches.clear();
  for (const CheckTarget& target : targets) {
    const auto old = before.find(target.id);
    if (old != before.end() && old->second->target.generation == target.generation && old->second->target.address == target.address &&
        old->second->target.port == target.port) {
      if (old->second->check != *check) {
        old->second->check = *check;
        old->second->tally.SetThresholds(check->rise, check->fall);
      }
      watches[target.id] = std::move(old->second);
      before.erase(old);
      continue;
    }
    const auto watch = std::make_shared<Watch>(state_->io, service, *check, target);
    watches[target.id] = watch;
    asio::co_spawn(state_->io, Run(state_, watch), asio::detached);
  }
  for (auto& [id, watch] : before) Stop(*watch);
}

void Checker::RemoveService(const std::string& service) {
  const auto found = state_->services.find(service);
  if (found == state_->services.end()) return;
  for (auto& [id, watch] : found->second) Stop(*watch);
  state_->services.erase(found);
}

CheckVerdict Checker::Verdict(const std::string& service, const std::string& id, uint64_t generation) const {
  const auto watches = state_->services.find(service);
  if (watches == state_->services.end()) return {};
  const auto found = watches->second.find(id);
  if (found == watches->second.end() || found->second->target.generation != generation) return {};
  const Watch& watch = *found->second;
  return {watch.tally.up(), watch.tally.up() ? "" : watch.reason};
}

size_t Checker::targets() const {
  size_t count = 0;
  for (const auto& [name, watches] : state_->services) count += watches.size();
  return count;
}

uint64_t Checker::checks_total() const { return state_->checks_total; }
size_t Checker::running_peak() const { return state_->running_peak; }

}  // namespace ringway::cp
