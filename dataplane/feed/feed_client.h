// The dataplane's end of the feed: connects to the control plane's socket for as long as it takes, says what it has, takes
// snapshots and deltas through the Applier, acknowledges or refuses each, and reports what is in flight on endpoints that
// drain and what passive health has ejected. Main thread. Protocol: docs/reference/feed.md.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "common/api/feed.h"
#include "dataplane/feed/applier.h"
#include "dataplane/feed/in_flight.h"
#include "dataplane/feed/snapshot_store.h"

namespace ringway::dp {

struct FeedStatus {
  bool connected = false;
  std::chrono::steady_clock::time_point since;  // of the connection, or of its loss
  uint64_t connects_total = 0;
  uint64_t messages_total = 0;
  std::optional<api::CatalogStatus> catalog;  // as last told, by whichever control plane; none before the first
  std::chrono::steady_clock::time_point catalog_at;  // when
};

class FeedClient {
 public:
  // `store` may be null: nothing is kept then.
  FeedClient(boost::asio::io_context& io, std::string socket_path, Applier& applier, SnapshotStore* store);

  // Flows of an endpoint that are not the workers': they count for its drain too.
  void SetElsewhere(InFlightElsewhere elsewhere) { elsewhere_ = std::move(elsewhere); }

  // Never ends; stop the io_context.
  boost::asio::awaitable<void> Run();
  const FeedStatus& status() const { return status_; }

  // A successor has the listening sockets. The kept snapshot is the successor's too from when this returns; the feed is still
  // followed and reported to, so that drains are answered for until the last session has ended. For good.
  void SetLeaving();

 private:
  struct Connection;
  using ConnectionPtr = std::shared_ptr<Connection>;

  boost::asio::awaitable<std::string> Session();  // why it ended
  boost::asio::awaitable<bool> OnMessage(ConnectionPtr connection, api::Message message);
  boost::asio::awaitable<void> TakeSnapshot(ConnectionPtr connection, Applier::Snapshot snapshot);
  Applier::Snapshot AfterDelta(const api::Delta& delta);
  void SendHello(const ConnectionPtr& connection);
  void OnRunning(const Applier::Snapshot& snapshot);
  void Acknowledge(uint64_t version, bool partial);
  boost::asio::awaitable<void> ReportLoop(ConnectionPtr connection);
  void ReportAgain();
  void Report(const ConnectionPtr& connection, std::vector<api::InFlight> draining);
  void OnUndecodable(const ConnectionPtr& connection, const std::string& why);
  std::vector<api::InFlight> Draining() const;

  boost::asio::io_context& io_;
  const std::string socket_path_;
  Applier& applier_;
  SnapshotStore* const store_;
  FeedStatus status_;
  std::mt19937_64 random_{std::random_device{}()};
  Applier::Snapshot received_;      // the last one that came, taken or not: the base of the next delta
  bool need_whole_ = false;         // a delta did not fit
  std::string trouble_;             // why there is no connection, as last logged, at told_at_
  std::chrono::steady_clock::time_point told_at_;
  std::string undecodable_;         // why a message could not be understood, as last logged
  std::weak_ptr<Connection> connection_;
  InFlightElsewhere elsewhere_;
};

}  // namespace ringway::dp
