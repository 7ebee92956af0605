// Until its first pass a check is tried again soon: an instance counts as up when it is up, not at the next interval.
#include "sidecar/checks/health.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/backoff.h"
#include "common/log/log.h"
#include "common/log/printable.h"
#include "sidecar/checks/run_check.h"

namespace ringway::sidecar {
namespace {

namespace asio = boost::asio;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kFirstRetry{20};
constexpr std::chrono::milliseconds kFirstRetryScript{100};
constexpr std::chrono::hours kForever{24 * 365};
constexpr std::chrono::seconds kLateAfter{5};

std::chrono::milliseconds FirstRetryOf(const CheckDefinition& check) {
  return check.kind == CheckDefinition::Kind::kScript ? kFirstRetryScript : kFirstRetry;
}

}  // namespace

Health::Slot::Slot(asio::io_context& io, CheckDefinition definition)
    : check(std::move(definition)),
      threshold(check),
      wake(io),
      status(check.initial_status.value_or(CheckStatus::kCritical)) {}

Health::Health(asio::io_context& io, Reaper& reaper, std::vector<CheckDefinition> checks) : io_(io), reaper_(reaper) {
  for (CheckDefinition& check : checks) slots_.push_back(std::make_unique<Slot>(io, std::move(check)));
}

void Health::Run() {
  for (const auto& slot : slots_) asio::co_spawn(io_, Loop(*slot), asio::detached);
}

void Health::Stop() {
  stopped_ = true;
  for (const auto& slot : slots_) slot->wake.cancel();
}

void Health::SetUp(bool up, const std::string& why) {
  up_ = up;
  why_down_ = why;
  ++start_;
  up_since_ = std::chrono::steady_clock::now();
  for (const auto& slot : slots_) {
    slot->status = slot->check.initial_status.value_or(CheckStatus::kCritical);
    slot->output = "not checked yet";
    slot->passed = slot->told = false;
    slot->threshold.Reset();
    slot->wake.cancel();
  }
  Announce();
}

asio::awaitable<void> Health::Loop(Slot& slot) {
  uint64_t start = 0;
  Backoff quick(FirstRetryOf(slot.check), slot.check.interval);
  while (!stopped_) {
    if (!up_) {
      slot.wake.expires_after(kForever);
      co_await slot.wake.async_wait(kNoThrow);
      continue;
    }
    if (start != start_) quick.Reset();
    start = start_;
    co_await RunOnce(slot);
    if (start != start_ || stopped_) continue;
    slot.wake.expires_after(slot.passed ? slot.check.interval : quick.Next());
    co_await slot.wake.async_wait(kNoThrow);
  }
}

asio::awaitable<void> Health::RunOnce(Slot& slot) {
  const uint64_t start = start_;
  const CheckResult result = co_await RunCheck(slot.check, reaper_);
  if (start != start_ || stopped_) co_return;
  const CheckStatus before = slot.status;
  slot.status = slot.threshold.Take(result.status);
  slot.output = result.output;
  slot.passed = slot.passed || slot.status == CheckStatus::kPassing;
  if (slot.status != before) {
    spdlog::info("check {}: {} -> {}: {}", slot.check.name, StatusName(before), StatusName(slot.status), log::FirstLine(slot.output));
  }
  TellIfLate(slot);
  Announce();
}

// A program that never comes up changes nothing, so nothing else would say why no request reaches it.
void Health::TellIfLate(Slot& slot) {
  if (slot.passed || slot.told || std::chrono::steady_clock::now() - up_since_ < kLateAfter) return;
  slot.told = true;
  spdlog::warn("check {}: has not passed in {} s since the program started: {}", slot.check.name, kLateAfter.count(), log::FirstLine(slot.output));
}

void Health::Announce() {
  const CheckStatus now = Combined().status;
  if (now == announced_ || stopped_) return;
  announced_ = now;
  if (on_change) on_change();
}

CheckResult Health::Combined() const {
  if (!up_) return {CheckStatus::kCritical, why_down_};
  CheckResult worst{CheckStatus::kPassing, slots_.empty() ? "the program runs" : ""};
  for (const auto& slot : slots_) {
    worst.status = std::max(worst.status, slot->status);
    if (!worst.output.empty()) worst.output += "\n";
    worst.output += slots_.size() == 1 ? slot->output : slot->check.name + ": " + slot->output;
  }
  worst.output.resize(std::min(worst.output.size(), kCheckOutputMax));
  return worst;
}

}  // namespace ringway::sidecar
