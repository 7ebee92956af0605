// The process: what it is made of and the stages of its life. Start in start.cc, life in dataplane.cc, end in stop.cc.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/access_log/access_log.h"
#include "dataplane/feed/applier.h"
#include "dataplane/feed/feed_client.h"
#include "dataplane/feed/snapshot_store.h"
#include "dataplane/handover/predecessor.h"
#include "dataplane/handover/successor.h"
#include "dataplane/kernel/packet_delivery.h"
#include "dataplane/kernel/socket_programs.h"
#include "dataplane/program/cpus.h"
#include "dataplane/program/dataplane.h"
#include "dataplane/program/resources.h"
#include "dataplane/program/status_pipe.h"
#include "dataplane/stats/collector.h"
#include "dataplane/stats/limit_log.h"
#include "dataplane/stats/stats_server.h"
#include "dataplane/uring/worker_thread.h"

namespace ringway::dp {

inline constexpr auto kNoThrow = boost::asio::as_tuple(boost::asio::use_awaitable);

class Dataplane {
 public:
  explicit Dataplane(const DataplaneOptions& options) : options_(options), status_(options.status_fd) {}
  int Run();

 private:
  template <typename T>
  using Awaitable = boost::asio::awaitable<T>;
  using Clock = std::chrono::steady_clock;

  // start.cc; an exit code ends the process.
  static void PrepareUnprivilegedLife();
  static void GiveUpPrivileges();
  std::optional<int> TakeOverSockets();
  std::optional<int> LoadSnapshot();
  bool LoadHandedSnapshot();
  std::optional<int> StartWorkers();
  void TellPlaces(const CpuList& cpus) const;
  uint32_t WorkersWanted(const CpuList& cpus) const;
  void AbandonWorkers();
  std::optional<int> BecomeSuccessor();

  // dataplane.cc
  void WireColdSide();
  Awaitable<void> Begin();
  Awaitable<void> TellServing();
  Awaitable<void> Tick();
  Awaitable<void> ProbesUntilConfigured();
  Awaitable<void> TurnWorkers();
  void OpenHandover();
  void TellSessionsMax(uint32_t wanted);
  void TellPoolTooSmall(const api::Snapshot& snapshot);
  std::vector<const WorkerShared*> ConstShared() const;
  void Spawn(Awaitable<void> task);
  void EndLoop(int code);
  [[noreturn]] void EndNow();

  // stop.cc
  Awaitable<void> WaitForSignal();
  Awaitable<void> ReopenAtSignals();
  Awaitable<void> StopWorkers(uint32_t timeout_ms);
  uint32_t ShutdownTimeout() const;
  absl::StatusOr<Estate> EstateNow() const;
  Awaitable<void> Leave();
  Awaitable<void> EndSessions();
  uint64_t SessionsOpen() const;
  bool DetachesPacketDelivery() const;
  void EndPacketDelivery();

  const DataplaneOptions options_;
  boost::asio::io_context io_{1};
  StatusPipe status_;
  int exit_code_ = 0;
  bool served_ = false;    // a snapshot has been taken
  bool handover_tried_ = false;
  bool stopping_ = false;
  uint32_t exchanges_max_ = 0;  // slots of a worker
  SessionShare share_{};
  bool pool_too_small_ = false;  // and that was told
  uint32_t sessions_max_ = 0;  // of the config, as last told; zero: from the limit of open files
  std::optional<Inheritance> inheritance_;
  std::optional<StoredSnapshot> first_;
  std::string first_source_;
  std::vector<std::unique_ptr<WorkerShared>> shared_;
  std::vector<std::unique_ptr<WorkerThread>> threads_;  // declared after what they use
  std::unique_ptr<PacketDelivery> packet_;
  std::unique_ptr<SnapshotStore> store_;
  std::unique_ptr<MapBuilder> builder_;
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<AccessLog> access_log_;
  std::unique_ptr<Applier> applier_;
  std::unique_ptr<SocketPrograms> sockets_;
  std::unique_ptr<FeedClient> feed_;
  std::unique_ptr<Collector> collector_;
  std::unique_ptr<StatsServer> stats_;
  std::unique_ptr<LimitLog> limit_log_;
  std::unique_ptr<Predecessor> handover_;
};

}  // namespace ringway::dp
