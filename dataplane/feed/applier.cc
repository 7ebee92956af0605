// Takes a snapshot into service; see applier.h.
#include "dataplane/feed/applier.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <algorithm>
#include <utility>

#include "common/log/log.h"

namespace ringway::dp {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kPoll{1};
constexpr std::chrono::seconds kRetryEvery{1};
constexpr std::chrono::milliseconds kEjectionsEvery{50};
// A worker answers within a turn of its loop. Longer than this means that it hangs, and a person should know.
constexpr std::chrono::seconds kWorkerSlow{5};

// `snapshot` behind the listeners of `running`, and with the services that only those still lead to.
Applier::Snapshot WithListenersOf(const api::Snapshot& running, const api::Snapshot& snapshot) {
  api::Snapshot merged = snapshot;
  merged.listeners = running.listeners;
  const auto before = [](const api::Service& a, const api::Service& b) { return a.name < b.name; };
  for (const api::Service& service : running.services) {
    const auto place = std::lower_bound(merged.services.begin(), merged.services.end(), service, before);
    const bool there = place != merged.services.end() && place->name == service.name;
    if (!there) merged.services.insert(place, service);
  }
  return std::make_shared<const api::Snapshot>(std::move(merged));
}

bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
}

asio::awaitable<void> Sleep(asio::io_context& io, Clock::duration duration) {
  asio::steady_timer timer(io, duration);
  co_await timer.async_wait(kNoThrow);
}

std::vector<const WorkerShared*> SharedOf(const Publisher& publisher) {
  std::vector<const WorkerShared*> shared;
  for (const WorkerPort& port : publisher.workers()) shared.push_back(port.shared);
  return shared;
}

}  // namespace

Applier::Applier(asio::io_context& io, MapBuilder& builder, Publisher& publisher)
    : io_(io),
      builder_(builder),
      publisher_(publisher),
      ejections_(builder.directory(), SharedOf(publisher)),
      ejections_timer_(io) {
  WatchEjections();
}

asio::awaitable<absl::Status> Applier::Apply(Snapshot snapshot, std::string source,
                                             std::chrono::system_clock::time_point at) {
  const uint64_t attempt = ++attempt_;
  const std::string told = applied_.refusal;
  absl::Status status = co_await Take(snapshot, source, at);
  if (status.ok()) co_return status;
  ++applied_.refused_total;
  const uint64_t version = snapshot->version;
  bool partly = false;
  const bool first = applied_.snapshot == nullptr;
  if (MayPass(status)) {
    partly = co_await TakeAllButListeners(snapshot, source, at);
    asio::co_spawn(io_, Retry(std::move(snapshot), std::move(source), at, attempt), asio::detached);
  }
  applied_.refusal = std::string(status.message());
  if (partly && first) applied_.refusal += "; what else there is runs";
  if (partly && !first) applied_.refusal += "; the listeners stay as they were, services and endpoints are taken";
  if (applied_.refusal != told) spdlog::error("snapshot version {} refused: {}", version, applied_.refusal);
  co_return absl::Status(status.code(), applied_.refusal);
}

asio::awaitable<bool> Applier::TakeAllButListeners(Snapshot snapshot, const std::string& source,
                                                   std::chrono::system_clock::time_point at) {
  if (applied_.snapshot == nullptr) co_return co_await TakeWhatOpens(std::move(snapshot), source, at);
  Snapshot merged = WithListenersOf(*applied_.snapshot, *snapshot);
  const absl::Status status = co_await Take(std::move(merged), source, at);
  applied_.partial |= status.ok();
  co_return status.ok();
}

asio::awaitable<bool> Applier::TakeWhatOpens(Snapshot snapshot, const std::string& source,
                                             std::chrono::system_clock::time_point at) {
  api::Snapshot rest = *snapshot;
  while (!builder_.unopened().empty()) {
    const std::string name = builder_.unopened();
    std::erase_if(rest.listeners, [&name](const api::Listener& listener) { return listener.name == name; });
    if (rest.listeners.empty()) co_return false;
    Snapshot without = std::make_shared<const api::Snapshot>(rest);
    const absl::Status status = co_await Take(std::move(without), source, at);
    if (!status.ok()) continue;
    applied_.partial = true;
    co_return true;
  }
  co_return false;
}

asio::awaitable<absl::Status> Applier::Take(Snapshot snapshot, const std::string& source,
                                            std::chrono::system_clock::time_point at) {
  while (busy_) co_await Sleep(io_, kPoll);
  busy_ = true;
  if (leaving_ && applied_.snapshot != nullptr) snapshot = WithListenersOf(*applied_.snapshot, *snapshot);
  absl::StatusOr<std::unique_ptr<const BackendMap>> map = builder_.Build(snapshot);
  if (!map.ok()) {
    busy_ = false;
    co_return map.status();
  }
  if (on_built_) on_built_(*snapshot);
  const uint64_t version = (*map)->version;
  publisher_.Publish(*std::move(map));
  co_await WaitForWorkers(version);
  publisher_.Collect();
  applied_.snapshot = snapshot;
  applied_.source = source;
  applied_.at = at;
  applied_.refusal.clear();
  applied_.partial = false;
  ++applied_.applied_total;
  busy_ = false;
  if (on_applied_) on_applied_(snapshot);
  co_return absl::OkStatus();
}

asio::awaitable<void> Applier::WaitForWorkers(uint64_t version) {
  const Clock::time_point slow_at = Clock::now() + kWorkerSlow;
  bool told = false;
  while (!publisher_.EveryWorkerRuns(version)) {
    co_await Sleep(io_, kPoll);
    if (!told && Clock::now() >= slow_at) {
      told = true;
      spdlog::error("a worker has not taken the new map for {} s: it hangs or is starved of CPU",
                    kWorkerSlow.count());
    }
  }
}

asio::awaitable<void> Applier::Retry(Snapshot snapshot, std::string source,
                                     std::chrono::system_clock::time_point at, uint64_t attempt) {
  for (;;) {
    co_await Sleep(io_, kRetryEvery);
    if (attempt != attempt_) co_return;
    const absl::Status status = co_await Take(snapshot, source, at);
    if (status.ok()) {
      spdlog::info("snapshot version {} could be taken after all", snapshot->version);
      if (on_late_) on_late_(snapshot);
      co_return;
    }
    if (attempt != attempt_) co_return;
  }
}

void Applier::WatchEjections() {
  const uint64_t changes = ejections_.changes();
  for (const std::string& line : ejections_.Poll(MonotonicNowUs())) spdlog::warn("{}", line);
  if (changes != ejections_.changes() && on_ejections_) on_ejections_();
  ejections_timer_.expires_after(kEjectionsEvery);
  ejections_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) WatchEjections();
  });
}

void Applier::Sweep() {
  publisher_.Collect();
  builder_.Sweep(publisher_.version_oldest());
}

}  // namespace ringway::dp
