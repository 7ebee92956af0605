// The dataplane as a whole; see dataplane.h.
#include "dataplane/program/dataplane.h"

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "common/log/log.h"
#include "dataplane/feed/applier.h"
#include "dataplane/feed/feed_client.h"
#include "dataplane/feed/snapshot_store.h"
#include "dataplane/program/exit_codes.h"
#include "dataplane/program/resources.h"
#include "dataplane/stats/collector.h"
#include "dataplane/stats/limit_log.h"
#include "dataplane/stats/stats_server.h"
#include "dataplane/uring/worker_thread.h"

namespace ringway::dp {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kStopPoll{5};
// Beyond the workers' own limit, for one that is starved of CPU.
constexpr std::chrono::milliseconds kStopGrace{2000};
// Time for a control plane to push before the probes answer that there is nothing to serve.
constexpr std::chrono::seconds kProbesAfter{2};
constexpr size_t kSocketPathMax = 107;  // sun_path, unix(7)

class Dataplane {
 public:
  explicit Dataplane(const DataplaneOptions& options) : options_(options) {}
  int Run();

 private:
  std::optional<int> LoadSnapshot();
  std::optional<int> StartWorkers();
  void WireColdSide();
  asio::awaitable<void> Begin();
  asio::awaitable<void> Tick();
  asio::awaitable<void> ProbesUntilConfigured();
  asio::awaitable<void> WaitForSignal();
  asio::awaitable<void> StopWorkers();
  void Spawn(asio::awaitable<void> task);
  void EndLoop(int code);

  void TellSessionsMax(uint32_t wanted);
  std::vector<const WorkerShared*> ConstShared() const;

  const DataplaneOptions options_;
  asio::io_context io_{1};
  int exit_code_ = kExitOk;
  uint32_t sessions_max_ = 0;  // of the config, as last told; zero: from the limit of open files
  std::optional<StoredSnapshot> first_;
  std::vector<std::unique_ptr<WorkerShared>> shared_;
  std::vector<std::unique_ptr<WorkerThread>> threads_;  // declared after what they use
  std::unique_ptr<SnapshotStore> store_;
  std::unique_ptr<MapBuilder> builder_;
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<Applier> applier_;
  std::unique_ptr<FeedClient> feed_;
  std::unique_ptr<Collector> collector_;
  std::unique_ptr<StatsServer> stats_;
  std::unique_ptr<LimitLog> limit_log_;
};

int Dataplane::Run() {
  std::signal(SIGPIPE, SIG_IGN);
  if (const auto code = LoadSnapshot()) return *code;
  if (const auto code = StartWorkers()) return *code;
  WireColdSide();
  Spawn(WaitForSignal());
  Spawn(Begin());
  Spawn(Tick());
  Spawn(ProbesUntilConfigured());
  io_.run();
  stats_.reset();
  store_.reset();  // writes what waits
  for (const auto& worker : shared_) {
    if (worker->stopped.load(std::memory_order_acquire)) continue;
    // A worker that hangs cannot be joined; nothing else is left to save.
    spdlog::error("a worker did not stop in time");
    spdlog::shutdown();
    _exit(exit_code_);
  }
  threads_.clear();
  return exit_code_;
}

// What to start from: the given file, or the last good snapshot. A given file must be good, a kept one need not be there.
std::optional<int> Dataplane::LoadSnapshot() {
  if (!options_.snapshot_file.empty()) {
    auto stored = ReadSnapshotFile(options_.snapshot_file);
    if (!stored.ok()) {
      spdlog::error("--snapshot: {}", std::string(stored.status().message()));
      return kExitConfig;
    }
    first_ = *std::move(stored);
    return std::nullopt;
  }
  std::error_code error;
  std::filesystem::create_directories(options_.state_dir, error);
  if (error || access(options_.state_dir.c_str(), W_OK | X_OK) != 0) {
    spdlog::error("state directory {}: cannot be created or written{}{} (--state-dir, RINGWAY_STATE_DIR)",
                  options_.state_dir, error ? ": " : "", error ? error.message() : "");
    return kExitCannotCreate;
  }
  store_ = std::make_unique<SnapshotStore>(io_, options_.state_dir + "/snapshot.json");
  auto stored = store_->Load();
  if (stored.ok()) {
    spdlog::info("starting from the kept snapshot, version {}", stored->snapshot->version);
    first_ = *std::move(stored);
  } else if (!absl::IsNotFound(stored.status())) {
    spdlog::error("kept snapshot: {}; going on without", std::string(stored.status().message()));
  }
  return std::nullopt;
}

std::optional<int> Dataplane::StartWorkers() {
  const uint64_t files = RaiseFileLimit();
  const uint32_t workers = options_.workers != 0 ? options_.workers : UsableCpus();
  sessions_max_ = first_ ? first_->snapshot->sessions_max : 0;
  const SessionShare share = ShareFiles(files, workers, sessions_max_);
  for (uint32_t i = 0; i < workers; ++i) {
    shared_.push_back(std::make_unique<WorkerShared>());
    WorkerThreadOptions options;
    options.index = i;
    options.sessions_max = share.sessions_max;
    options.upstreams_max = share.upstreams_max;
    auto thread = WorkerThread::Start(options, *shared_.back());
    if (!thread.ok()) {
      spdlog::error("worker {}: {}", i, std::string(thread.status().message()));
      shared_.back()->stopped = true;
      for (size_t j = 0; j < threads_.size(); ++j) {
        shared_[j]->stop_timeout_ms = 0;
        shared_[j]->stop = true;
        threads_[j]->Wake();
      }
      threads_.clear();
      return kExitUnavailable;
    }
    threads_.push_back(*std::move(thread));
  }
  spdlog::info("ringway-dataplane {} with {} workers, {} sessions each, {} open files", RINGWAY_VERSION, workers,
               share.sessions_max, files);
  return std::nullopt;
}

void Dataplane::WireColdSide() {
  std::vector<WorkerShared*> shared;
  std::vector<WorkerPort> ports;
  for (size_t i = 0; i < shared_.size(); ++i) {
    shared.push_back(shared_[i].get());
    ports.push_back({shared_[i].get(), [thread = threads_[i].get()] { thread->Wake(); }});
  }
  builder_ = std::make_unique<MapBuilder>(shared);
  publisher_ = std::make_unique<Publisher>(std::move(ports));
  applier_ = std::make_unique<Applier>(io_, *builder_, *publisher_);
  if (options_.snapshot_file.empty()) {
    feed_ = std::make_unique<FeedClient>(io_, options_.run_dir + "/feed.sock", *applier_, store_.get());
  }
  collector_ = std::make_unique<Collector>(ConstShared(), *applier_, feed_.get());
  stats_ = std::make_unique<StatsServer>(io_, *collector_);
  limit_log_ = std::make_unique<LimitLog>(ConstShared());
  applier_->OnApplied([this](const Applier::Snapshot& snapshot) {
    stats_->Configure(snapshot->stats);
    TellSessionsMax(snapshot->sessions_max);
  });
}

// Slabs are made once, from what was known at the start.
void Dataplane::TellSessionsMax(uint32_t wanted) {
  if (wanted == sessions_max_) return;
  sessions_max_ = wanted;
  spdlog::warn("limits.sessions_max is now {}: it takes effect at the dataplane's next start",
               wanted == 0 ? std::string("left to the limit of open files") : std::to_string(wanted));
}

std::vector<const WorkerShared*> Dataplane::ConstShared() const {
  std::vector<const WorkerShared*> shared;
  for (const auto& worker : shared_) shared.push_back(worker.get());
  return shared;
}

// Runs what there is, then follows the control plane.
asio::awaitable<void> Dataplane::Begin() {
  if (first_) {
    std::string source = feed_ == nullptr ? "file" : "disk";
    const absl::Status status = co_await applier_->Apply(first_->snapshot, std::move(source), first_->written_at);
    if (!status.ok() && feed_ == nullptr) {
      exit_code_ = absl::IsInvalidArgument(status) ? kExitConfig : kExitUnavailable;
      Spawn(StopWorkers());
      co_return;
    }
  }
  if (feed_ != nullptr) co_await feed_->Run();
}

asio::awaitable<void> Dataplane::Tick() {
  asio::steady_timer timer(io_);
  for (;;) {
    timer.expires_after(std::chrono::seconds(1));
    co_await timer.async_wait(kNoThrow);
    collector_->Tick();
    applier_->Sweep();
    for (const std::string& line : limit_log_->Tick(Clock::now())) spdlog::warn(line);
  }
}

asio::awaitable<void> Dataplane::ProbesUntilConfigured() {
  asio::steady_timer timer(io_, kProbesAfter);
  co_await timer.async_wait(kNoThrow);
  if (applier_->applied().snapshot == nullptr) stats_->ServeProbesOnly();
}

asio::awaitable<void> Dataplane::WaitForSignal() {
  asio::signal_set signals(io_, SIGTERM, SIGINT);
  auto [error, number] = co_await signals.async_wait(kNoThrow);
  if (error) co_return;
  spdlog::info("{}: stopping, requests in flight may end", number == SIGTERM ? "SIGTERM" : "SIGINT");
  Spawn(StopWorkers());
  auto [second_error, second] = co_await signals.async_wait(kNoThrow);
  if (second_error) co_return;
  spdlog::warn("second signal: stopping at once");
  EndLoop(kExitOk);
}

asio::awaitable<void> Dataplane::StopWorkers() {
  collector_->SetStopping();
  const auto& snapshot = applier_->applied().snapshot;
  const uint32_t timeout_ms = snapshot != nullptr ? snapshot->shutdown_timeout_ms : 0;
  for (size_t i = 0; i < shared_.size(); ++i) {
    shared_[i]->stop_timeout_ms.store(timeout_ms);
    shared_[i]->stop.store(true);
    threads_[i]->Wake();
  }
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(timeout_ms) + kStopGrace;
  asio::steady_timer timer(io_);
  while (publisher_->version_oldest() != UINT64_MAX && Clock::now() < end) {
    timer.expires_after(kStopPoll);
    co_await timer.async_wait(kNoThrow);
  }
  EndLoop(exit_code_);
}

// A task that throws is a defect: the process ends and says so, rather than going on without its feed or its signals.
void Dataplane::Spawn(asio::awaitable<void> task) {
  asio::co_spawn(io_, std::move(task), [this](std::exception_ptr failure) {
    if (failure == nullptr) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& e) {
      spdlog::critical("internal error: {}", e.what());
    }
    EndLoop(kExitInternal);
  });
}

void Dataplane::EndLoop(int code) {
  exit_code_ = code;
  io_.stop();
}

}  // namespace

int RunDataplane(const DataplaneOptions& options) {
  if ((options.run_dir + "/feed.sock").size() > kSocketPathMax) {
    spdlog::error("--run-dir: the path {}/feed.sock is longer than a unix socket's {} bytes", options.run_dir, kSocketPathMax);
    return kExitUsage;
  }
  return Dataplane(options).Run();
}

}  // namespace ringway::dp
