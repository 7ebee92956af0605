// Takes a snapshot into service; see applier.h.
#include "dataplane/feed/applier.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "common/log/log.h"

namespace ringway::dp {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kPoll{1};
constexpr std::chrono::seconds kRetryEvery{1};
// A worker answers within a turn of its loop. Longer than this means that it hangs, and a person should know.
constexpr std::chrono::seconds kWorkerSlow{5};

bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
}

asio::awaitable<void> Sleep(asio::io_context& io, Clock::duration duration) {
  asio::steady_timer timer(io, duration);
  co_await timer.async_wait(kNoThrow);
}

}  // namespace

Applier::Applier(asio::io_context& io, MapBuilder& builder, Publisher& publisher)
    : io_(io), builder_(builder), publisher_(publisher) {}

asio::awaitable<absl::Status> Applier::Apply(Snapshot snapshot, std::string source,
                                             std::chrono::system_clock::time_point at) {
  const uint64_t attempt = ++attempt_;
  absl::Status status = co_await Take(snapshot, source, at);
  if (!status.ok()) {
    ++applied_.refused_total;
    applied_.refusal = std::string(status.message());
    spdlog::error("snapshot version {} refused: {}", snapshot->version, applied_.refusal);
    if (MayPass(status)) {
      asio::co_spawn(io_, Retry(std::move(snapshot), std::move(source), at, attempt), asio::detached);
    }
  }
  co_return status;
}

asio::awaitable<absl::Status> Applier::Take(Snapshot snapshot, const std::string& source,
                                            std::chrono::system_clock::time_point at) {
  while (busy_) co_await Sleep(io_, kPoll);
  busy_ = true;
  absl::StatusOr<std::unique_ptr<const BackendMap>> map = builder_.Build(snapshot);
  if (!map.ok()) {
    busy_ = false;
    co_return map.status();
  }
  const uint64_t version = (*map)->version;
  publisher_.Publish(*std::move(map));
  co_await WaitForWorkers(version);
  publisher_.Collect();
  applied_.snapshot = snapshot;
  applied_.source = source;
  applied_.at = at;
  applied_.refusal.clear();
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
    applied_.refusal = std::string(status.message());
  }
}

void Applier::Sweep() {
  publisher_.Collect();
  builder_.Sweep(publisher_.version_oldest());
}

}  // namespace ringway::dp
