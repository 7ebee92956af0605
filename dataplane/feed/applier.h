// Takes a snapshot into service: builds the map, publishes it, and waits until every worker runs it. One at a time, in order
// of the calls. A snapshot that only its surroundings refuse (an address in use) is tried again every second until it can be
// taken or another one comes; meanwhile its services and endpoints run behind the listeners that there are, so that one
// address in use does not freeze every pool. The first snapshot of a process has no listeners before it: then those run that
// can be opened. Beside it, every 50 ms, a look at what the workers have ejected of what runs.
// Main thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/api/feed.h"
#include "dataplane/feed/ejections.h"
#include "dataplane/feed/map_builder.h"
#include "dataplane/feed/publisher.h"

namespace ringway::dp {

// For stats: what runs and where it came from.
struct Applied {
  std::shared_ptr<const api::Snapshot> snapshot;      // null before the first
  std::chrono::system_clock::time_point at;           // pushed now, or when the file was written
  std::string source;                                 // "push", "disk" or "file"
  uint64_t applied_total = 0;
  uint64_t refused_total = 0;
  std::string refusal;  // the last one; empty once something newer runs
  bool partial = false;  // `snapshot` is the one that came but for its listeners: those are of an earlier one
};

class Applier {
 public:
  using Snapshot = std::shared_ptr<const api::Snapshot>;

  Applier(boost::asio::io_context& io, MapBuilder& builder, Publisher& publisher);

  // OK when every worker runs it. Other answers say why not; then what ran before goes on, or, with applied().partial, runs
  // with the new services and endpoints.
  boost::asio::awaitable<absl::Status> Apply(Snapshot snapshot, std::string source,
                                             std::chrono::system_clock::time_point at);

  // Called when a snapshot that had been refused could be taken after all.
  void OnLate(std::function<void(const Snapshot&)> callback) { on_late_ = std::move(callback); }
  // Called with a snapshot that can be taken, before the workers get it.
  void OnBuilt(std::function<void(const api::Snapshot&)> callback) { on_built_ = std::move(callback); }
  // Called after each change of what runs, on the main thread.
  void OnApplied(std::function<void(const Snapshot&)> callback) { on_applied_ = std::move(callback); }

  // Called when ejections().Ejected() says something new.
  void OnEjections(std::function<void()> callback) { on_ejections_ = std::move(callback); }
  // A successor has the listening sockets: from now on listeners stay as they are and none is opened; services and endpoints
  // go on following what comes.
  void SetLeaving() { leaving_ = true; }
  bool leaving() const { return leaving_; }

  const Applied& applied() const { return applied_; }
  const EjectionWatch& ejections() const { return ejections_; }
  const Directory& directory() const { return builder_.directory(); }
  const BackendMap& current() const { return builder_.current(); }
  const Publisher& publisher() const { return publisher_; }
  // Frees maps and handles nobody uses any more. Once a second.
  void Sweep();

 private:
  boost::asio::awaitable<absl::Status> Take(Snapshot snapshot, const std::string& source,
                                            std::chrono::system_clock::time_point at);
  boost::asio::awaitable<bool> TakeAllButListeners(Snapshot snapshot, const std::string& source,
                                                   std::chrono::system_clock::time_point at);
  boost::asio::awaitable<bool> TakeWhatOpens(Snapshot snapshot, const std::string& source,
                                             std::chrono::system_clock::time_point at);
  boost::asio::awaitable<void> WaitForWorkers(uint64_t version);
  boost::asio::awaitable<void> Retry(Snapshot snapshot, std::string source,
                                     std::chrono::system_clock::time_point at, uint64_t attempt);
  void WatchEjections();

  boost::asio::io_context& io_;
  MapBuilder& builder_;
  Publisher& publisher_;
  Applied applied_;
  bool busy_ = false;
  bool leaving_ = false;
  uint64_t attempt_ = 0;  // counts snapshots offered; a retry ends when it is no longer the latest
  std::function<void(const Snapshot&)> on_late_;
  std::function<void(const api::Snapshot&)> on_built_;
  std::function<void(const Snapshot&)> on_applied_;
  EjectionWatch ejections_;
  boost::asio::steady_timer ejections_timer_;
  std::function<void()> on_ejections_;
};

}  // namespace ringway::dp
