// The dataplane as a whole; see dataplane.h.
#include "dataplane/program/dataplane.h"

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <exception>
#include <filesystem>

#include "common/log/log.h"
#include "dataplane/program/exit_codes.h"
#include "dataplane/program/process.h"

namespace ringway::dp {
namespace {

namespace asio = boost::asio;

// Time for a control plane to push before the probes answer that there is nothing to serve.
constexpr std::chrono::seconds kProbesAfter{2};
constexpr std::chrono::milliseconds kTurnPoll{1};
constexpr std::chrono::seconds kTurnTimeout{5};
// A worker's turn may be under way when it is told something; the next one submits what came of it.
constexpr uint64_t kTurns = 3;
constexpr std::chrono::seconds kLogLast{2};  // for the access log's last lines
constexpr size_t kSocketPathMax = 107;  // sun_path, unix(7)

}  // namespace

int Dataplane::Run() {
  for (const int signal : {SIGPIPE, SIGHUP, SIGUSR1}) std::signal(signal, SIG_IGN);
  PrepareUnprivilegedLife();
  if (const auto code = TakeOverSockets()) return *code;
  if (const auto code = LoadSnapshot()) return *code;
  if (const auto code = StartWorkers()) return *code;
  GiveUpPrivileges();
  WireColdSide();
  if (const auto code = BecomeSuccessor()) return *code;
  if (!first_) status_.Say("waiting");
  Spawn(WaitForSignal());
  Spawn(ReopenAtSignals());
  Spawn(Begin());
  Spawn(Tick());
  Spawn(ProbesUntilConfigured());
  io_.run();
  EndPacketDelivery();
  stats_.reset();
  store_.reset();  // writes what waits
  for (const auto& worker : shared_) {
    if (worker->stopped.load(std::memory_order_acquire)) continue;
    spdlog::error("a worker did not stop in time");
    access_log_->Stop(kLogLast);
    EndNow();
  }
  threads_.clear();
  if (!access_log_->Stop(kLogLast)) EndNow();
  return exit_code_;
}

// A thread that hangs cannot be joined; nothing else is left to save.
void Dataplane::EndNow() {
  spdlog::shutdown();
  _exit(exit_code_);
}

void Dataplane::WireColdSide() {
  std::vector<WorkerShared*> shared;
  std::vector<WorkerPort> ports;
  for (size_t i = 0; i < shared_.size(); ++i) {
    shared.push_back(shared_[i].get());
    ports.push_back({shared_[i].get(), [thread = threads_[i].get()] { thread->Wake(); }});
  }
  builder_ = std::make_unique<MapBuilder>(shared);
  packet_ = std::make_unique<PacketDelivery>(options_.state_dir + "/kernel");
  builder_->SetPacketDelivery([this](const api::Snapshot& snapshot) { return packet_->Prepare(snapshot); });
  publisher_ = std::make_unique<Publisher>(std::move(ports));
  applier_ = std::make_unique<Applier>(io_, *builder_, *publisher_);
  access_log_ = std::make_unique<AccessLog>(shared, exchanges_max_, builder_->names());
  applier_->OnBuilt([this](const api::Snapshot& snapshot) { access_log_->Configure(snapshot); });
  if (options_.snapshot_file.empty()) {
    feed_ = std::make_unique<FeedClient>(io_, options_.run_dir + "/feed.sock", *applier_, store_.get());
  }
  sockets_ = SocketPrograms::Make(shared, options_.run_dir, options_.state_dir + "/kernel");
  if (feed_ != nullptr) {
    feed_->SetElsewhere([this](const std::string& service, const api::Endpoint& endpoint) {
      return packet_->FlowsOf(service, endpoint) + sockets_->OfEndpoint(service, endpoint).open;
    });
  }
  collector_ = std::make_unique<Collector>(ConstShared(), *applier_, feed_.get(), packet_.get());
  collector_->SetSockets(sockets_.get());
  stats_ = std::make_unique<StatsServer>(io_, *collector_);
  collector_->SetAccessLog(access_log_.get());
  limit_log_ = std::make_unique<LimitLog>(ConstShared());
  applier_->OnApplied([this](const Applier::Snapshot& snapshot) {
    stats_->Configure(snapshot->stats);
    sockets_->Apply(snapshot, builder_->directory(), builder_->current());
    TellSessionsMax(snapshot->sessions_max);
    TellPoolTooSmall(*snapshot);
    packet_->Apply(snapshot);
    if (!std::exchange(served_, true) && handover_tried_) Spawn(TellServing());
  });
}

// Slabs are made once, from what was known at the start.
void Dataplane::TellSessionsMax(uint32_t wanted) {
  if (wanted == sessions_max_) return;
  sessions_max_ = wanted;
  spdlog::warn("limits.sessions_max is now {}: it takes effect at the dataplane's next start",
               wanted == 0 ? std::string("left to the limit of open files") : std::to_string(wanted));
}

// Once, until it has been enough again.
void Dataplane::TellPoolTooSmall(const api::Snapshot& snapshot) {
  uint64_t endpoints = 0;
  for (const api::Service& service : snapshot.services) endpoints += service.endpoints.size();
  const std::string words = PoolTooSmall(endpoints, share_);
  if (!std::exchange(pool_too_small_, !words.empty()) && !words.empty()) spdlog::warn(words);
}

std::vector<const WorkerShared*> Dataplane::ConstShared() const {
  std::vector<const WorkerShared*> shared;
  for (const auto& worker : shared_) shared.push_back(worker.get());
  return shared;
}

// Runs what there is, then follows the control plane.
asio::awaitable<void> Dataplane::Begin() {
  if (first_) {
    // Named locals: g++ 12 miscompiles temporaries in a co_await.
    Applier::Snapshot snapshot = first_->snapshot;
    std::string source = first_source_;
    const absl::Status status = co_await applier_->Apply(std::move(snapshot), std::move(source), first_->written_at);
    if (!status.ok() && feed_ == nullptr) {
      exit_code_ = absl::IsInvalidArgument(status) ? kExitConfig : kExitUnavailable;
      Spawn(StopWorkers(ShutdownTimeout()));
      co_return;
    }
    // The one before may not have written it yet, or to another folder.
    if (status.ok() && first_source_ == "handover" && store_ != nullptr) store_->Save(first_->snapshot);
  }
  builder_->DropInherited();
  OpenHandover();
  handover_tried_ = true;
  if (served_) Spawn(TellServing());  // and no sooner: the next upgrade may begin at once
  if (feed_ != nullptr) co_await feed_->Run();
}

asio::awaitable<void> Dataplane::TellServing() {
  co_await TurnWorkers();
  status_.Say("serving");
}

// Returns when each worker has acted on what it was told before and has submitted it, or is too slow for words.
asio::awaitable<void> Dataplane::TurnWorkers() {
  std::vector<uint64_t> wanted;
  for (const auto& worker : shared_) wanted.push_back(worker->counters.worker.turns_total.Get() + kTurns);
  const auto turned = [&](size_t i) {
    return shared_[i]->stopped.load() || shared_[i]->counters.worker.turns_total.Get() >= wanted[i];
  };
  const Clock::time_point end = Clock::now() + kTurnTimeout;
  asio::steady_timer timer(io_);
  for (size_t i = 0; i < shared_.size() && Clock::now() < end;) {
    if (turned(i)) {
      ++i;
      continue;
    }
    threads_[i]->Wake();
    timer.expires_after(kTurnPoll);
    co_await timer.async_wait(kNoThrow);
  }
}

// Without it this dataplane serves all the same; only the next one cannot take over.
void Dataplane::OpenHandover() {
  Predecessor::Hooks hooks;
  hooks.estate = [this] { return EstateNow(); };
  hooks.hold = [this](bool hold) { builder_->HoldListeners(hold); };
  hooks.leave = [this] { return Leave(); };
  std::error_code ignored;  // Listen says what is wrong
  if (std::filesystem::create_directories(options_.run_dir, ignored)) {
    std::filesystem::permissions(options_.run_dir, std::filesystem::perms(0750), ignored);
  }
  auto listening = Predecessor::Listen(io_, options_.run_dir + "/handover.sock", std::move(hooks));
  if (listening.ok()) handover_ = *std::move(listening);
  else spdlog::warn("no upgrade without a reset: {}", std::string(listening.status().message()));
}

asio::awaitable<void> Dataplane::Tick() {
  asio::steady_timer timer(io_);
  for (;;) {
    timer.expires_after(std::chrono::seconds(1));
    co_await timer.async_wait(kNoThrow);
    collector_->Tick();
    applier_->Sweep();
    sockets_->Tick();
    for (const std::string& line : limit_log_->Tick(Clock::now())) spdlog::warn(line);
  }
}

asio::awaitable<void> Dataplane::ProbesUntilConfigured() {
  asio::steady_timer timer(io_, kProbesAfter);
  co_await timer.async_wait(kNoThrow);
  if (applier_->applied().snapshot == nullptr) stats_->ServeProbesOnly();
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


int RunDataplane(const DataplaneOptions& options) {
  if ((options.run_dir + "/handover.sock.new").size() > kSocketPathMax) {
    spdlog::error("--run-dir: the path {}/handover.sock.new is longer than a unix socket's {} bytes", options.run_dir, kSocketPathMax);
    return kExitUsage;
  }
  return Dataplane(options).Run();
}

}  // namespace ringway::dp
