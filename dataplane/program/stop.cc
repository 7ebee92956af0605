// How the process ends: asked by a signal, or because a successor has its listening sockets; see process.h.
#include <fcntl.h>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>

#include "common/api/feed_json.h"
#include "common/log/log.h"
#include "dataplane/program/exit_codes.h"
#include "dataplane/program/process.h"

namespace ringway::dp {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kStopPoll{5};
constexpr std::chrono::milliseconds kLeavePoll{100};
// Beyond the workers' own limit, for one that is starved of CPU.
constexpr std::chrono::milliseconds kStopGrace{2000};
// What is in flight when the time after a handover is over.
constexpr uint32_t kLateMs = 2000;

absl::Status CopyTo(Estate& estate, SocketName name, int fd) {
  UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (copy.get() < 0) return absl::ResourceExhaustedError("no descriptor left (ulimit -n)");
  estate.sockets.emplace_back(std::move(name), std::move(copy));
  return absl::OkStatus();
}

}  // namespace

asio::awaitable<void> Dataplane::WaitForSignal() {
  asio::signal_set signals(io_, SIGTERM, SIGINT);
  auto [error, number] = co_await signals.async_wait(kNoThrow);
  if (error) co_return;
  spdlog::info("{}: stopping, requests in flight may end", number == SIGTERM ? "SIGTERM" : "SIGINT");
  if (handover_ != nullptr) handover_->Stop();
  Spawn(StopWorkers(ShutdownTimeout()));
  auto [second_error, second] = co_await signals.async_wait(kNoThrow);
  if (second_error) co_return;
  spdlog::warn("second signal: stopping at once");
  EndLoop(kExitOk);
}

// What logrotate and its like send. The file is looked at each second too, so it works without.
asio::awaitable<void> Dataplane::ReopenAtSignals() {
  asio::signal_set signals(io_, SIGHUP, SIGUSR1);
  for (;;) {
    const auto [error, number] = co_await signals.async_wait(kNoThrow);
    if (error) co_return;
    spdlog::info("{}: the access log is opened again", number == SIGHUP ? "SIGHUP" : "SIGUSR1");
    access_log_->Reopen();
  }
}

uint32_t Dataplane::ShutdownTimeout() const {
  const auto& snapshot = applier_->applied().snapshot;
  return snapshot != nullptr ? snapshot->shutdown_timeout_ms : 0;
}

asio::awaitable<void> Dataplane::StopWorkers(uint32_t timeout_ms) {
  stopping_ = true;
  collector_->SetStopping();
  if (DetachesPacketDelivery()) packet_->Drain();
  sockets_->Stop();
  for (size_t i = 0; i < shared_.size(); ++i) {
    shared_[i]->stop_timeout_ms.store(timeout_ms);
    shared_[i]->stop.store(true);
    threads_[i]->Wake();
  }
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(timeout_ms) + kStopGrace;
  asio::steady_timer timer(io_);
  const auto busy = [this] {
    return publisher_->version_oldest() != UINT64_MAX || (DetachesPacketDelivery() && packet_->FlowsOpen() != 0);
  };
  while (busy() && Clock::now() < end) {
    timer.expires_after(kStopPoll);
    co_await timer.async_wait(kNoThrow);
  }
  EndLoop(exit_code_);
}

absl::StatusOr<Estate> Dataplane::EstateNow() const {
  if (stopping_) return absl::FailedPreconditionError("it is stopping");
  Estate estate;
  estate.offer.pid = getpid();
  estate.offer.release = RINGWAY_VERSION;
  estate.offer.workers = static_cast<uint32_t>(shared_.size());
  const Applied& applied = applier_->applied();
  const Directory& directory = builder_->directory();
  if (directory.snapshot != nullptr) {
    estate.snapshot = api::EncodeMessage(*directory.snapshot);
    // The workers are just taking it: whether it is all of it is not known yet.
    estate.offer.partial = applied.partial || directory.snapshot != applied.snapshot;
    const auto since = applied.at.time_since_epoch();
    estate.offer.snapshot_unix_ms = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
    for (const api::Listener& listener : directory.snapshot->listeners) {
      const std::vector<int>& sockets = builder_->current().listeners[directory.listeners.at(listener.name)]->sockets;
      for (uint32_t worker = 0; worker < sockets.size(); ++worker) {
        const std::string protocol(api::NameOf(listener.protocol));
        if (sockets[worker] < 0) continue;
        if (absl::Status s = CopyTo(estate, {listener.bind, protocol, worker}, sockets[worker]); !s.ok()) return s;
      }
    }
  }
  if (stats_->listening_fd() >= 0) {
    if (absl::Status s = CopyTo(estate, {stats_->bind(), "stats", 0}, stats_->listening_fd()); !s.ok()) return s;
  }
  return estate;
}

// Returns when no worker accepts any more. The feed is followed on: drains ask what is in flight here too.
asio::awaitable<void> Dataplane::Leave() {
  stats_->Leave();
  sockets_->Leave();
  if (feed_ != nullptr) feed_->SetLeaving();
  else applier_->SetLeaving();
  for (const auto& worker : shared_) worker->leave.store(true);
  packet_->Leave();  // the successor's from here on, with everything it holds
  co_await TurnWorkers();
  spdlog::info("a successor accepts the connections; {} sessions here may end", SessionsOpen());
  status_.Say("leaving");
  Spawn(EndSessions());
}

asio::awaitable<void> Dataplane::EndSessions() {
  const auto& snapshot = applier_->applied().snapshot;
  const std::chrono::milliseconds limit(snapshot != nullptr ? snapshot->handover_timeout_ms : 0);
  const Clock::time_point end = Clock::now() + limit;
  asio::steady_timer timer(io_);
  while (!stopping_ && publisher_->version_oldest() != UINT64_MAX && Clock::now() < end) {
    timer.expires_after(kLeavePoll);
    co_await timer.async_wait(kNoThrow);
  }
  if (stopping_) co_return;
  const uint64_t open = SessionsOpen();
  if (open == 0) spdlog::info("the last session has ended");
  else spdlog::warn("{} sessions are still open {} s after the handover (handover_timeout) and are cut", open, limit.count() / 1000);
  co_await StopWorkers(kLateMs);
}

bool Dataplane::DetachesPacketDelivery() const {
  const auto& snapshot = applier_->applied().snapshot;
  return stopping_ && snapshot != nullptr && snapshot->packet.on_stop == api::OnStop::kDetach;
}

// An end that nobody asked for leaves all as it is, for the next start to take over.
void Dataplane::EndPacketDelivery() {
  if (!DetachesPacketDelivery()) return packet_->Leave();
  if (const absl::Status s = packet_->Detach(); !s.ok()) spdlog::error("packet delivery: {}", std::string(s.message()));
}

uint64_t Dataplane::SessionsOpen() const {
  uint64_t open = 0;
  for (const auto& worker : shared_) open += worker->counters.worker.sessions_open.Get();
  return open;
}

}  // namespace ringway::dp
