// The feed: every dataplane connects to RUN_DIR/feed.sock (mode 0660), says what it has, and gets what it lacks: the deltas
// since then when they are still known, else a whole snapshot; after that each change as it is published. One control plane a
// run directory, held by a lock beside the socket. On the control plane's thread. Protocol: docs/reference/feed.md.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/api/feed.h"
#include "controlplane/pool/ejected.h"
#include "controlplane/push/drain_progress.h"

namespace ringway::cp {

// What is known of one connected dataplane.
struct DataplaneView {
  int64_t pid = 0;
  uint32_t workers = 0;
  std::optional<uint64_t> acked;
  std::optional<api::Refuse> refused;
  uint64_t snapshots_total = 0;
  uint64_t deltas_total = 0;
  uint64_t refusals_total = 0;
  uint64_t collapses_total = 0;
  uint64_t in_flight_draining = 0;
  std::vector<api::Ejection> ejected;  // remaining_ms counted down to now
  bool leaving = false;
  std::chrono::milliseconds connected_for{0};
};

class FeedServer {
 public:
  static constexpr size_t kDataplanesMax = 64;

  // AlreadyExists: another control plane holds this run directory. `current` gives the snapshot of the moment.
  static absl::StatusOr<std::unique_ptr<FeedServer>> Listen(boost::asio::io_context& io, const std::string& run_dir,
                                                            std::function<const api::Snapshot&()> current);
  ~FeedServer();  // closes every connection and removes the socket

  // A null delta: everything may have changed, send it whole.
  void Publish(const api::Delta* delta);

  // To every dataplane, now and when it connects.
  void PublishStatus(const api::CatalogStatus& status);
  // Called, posted, when a dataplane has ejected other endpoints than before, or has gone: ask Ejected() again.
  void OnEjections(std::function<void()> callback);
  // What the dataplanes that serve have ejected: service -> endpoints.
  std::map<std::string, EjectedEndpoints> Ejected() const;

  std::vector<DataplaneView> Dataplanes() const;
  DrainProgress Progress(const std::string& service, const std::string& endpoint, uint64_t version) const;
  // Of the connected dataplanes, how many have neither taken nor refused `version`.
  uint32_t Unanswered(uint64_t version) const;
  // When the last connection ended, or this server began when there was none yet.
  std::chrono::steady_clock::time_point AloneSince() const;

  // Returns at the next connect, disconnect, ack, refusal or report, or at `deadline`.
  boost::asio::awaitable<void> Changed(std::chrono::steady_clock::time_point deadline);

  struct State;

 private:
  explicit FeedServer(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace ringway::cp
