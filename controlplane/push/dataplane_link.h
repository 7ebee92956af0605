// One connected dataplane: what it was sent, what it acknowledged or refused, what it still has in flight. Plain state on the
// control plane's thread; the coroutines that read and write its socket are in feed_server.cc.
#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "common/api/feed.h"
#include "controlplane/push/delta_history.h"

namespace ringway::cp {

class DataplaneLink {
 public:
  // A dataplane this far behind gets one whole snapshot instead of what is queued.
  static constexpr size_t kQueueMax = 256;
  static constexpr size_t kQueueBytesMax = 16u << 20;

  explicit DataplaneLink(boost::asio::local::stream_protocol::socket connected)
      : socket(std::move(connected)), wake(socket.get_executor()), connected_at(std::chrono::steady_clock::now()) {}

  void Queue(const SharedFrame& frame);
  // Forgets what is queued: the writer sends the snapshot of the moment it gets to it.
  void QueueWhole();
  void Close();

  void OnAck(const api::Ack& ack);
  void OnRefuse(api::Refuse refusal);
  // False for a reason that was logged within the last minute: while a listener has no address, each version gets it.
  bool IsNews(const api::Refuse& refusal);
  // True when what it has ejected is something else than before, apart from the time that is left.
  bool OnReport(api::Report latest);
  // How the catalog is: goes out before what is queued, and only the latest.
  void QueueStatus(const SharedFrame& frame);

  // Has it taken `version` or later?
  bool HasTaken(uint64_t version) const { return acked.has_value() && *acked >= version; }
  // Has it answered for `version` (or later), either way?
  bool HasAnswered(uint64_t version) const { return (HasTaken(version) && !refusal_follows) || (refused && refused->version >= version); }
  // What it has in flight on the endpoint (all generations) by a report made with `version` or later; nullopt without one.
  std::optional<uint64_t> InFlight(const std::string& service, const std::string& endpoint, uint64_t version) const;

  boost::asio::local::stream_protocol::socket socket;
  boost::asio::steady_timer wake;  // the writer waits on it for something to send
  const std::chrono::steady_clock::time_point connected_at;
  std::optional<api::Hello> hello;
  std::optional<uint64_t> acked;      // on this connection, or what its Hello said it runs
  bool refusal_follows = false;       // the ack was a partial one
  std::optional<api::Refuse> refused; // the latest refusal that no later ack followed
  std::optional<api::Report> report;
  std::chrono::steady_clock::time_point reported_at{};
  SharedFrame status;  // to be sent; null: nothing
  std::string refusal_told;
  std::chrono::steady_clock::time_point refusal_told_at{};
  std::deque<SharedFrame> queue;
  size_t queue_bytes = 0;
  bool whole_wanted = false;
  bool closed = false;
  uint64_t snapshots_total = 0;
  uint64_t deltas_total = 0;
  uint64_t refusals_total = 0;
  uint64_t collapses_total = 0;  // times it was too slow for deltas
};

}  // namespace ringway::cp
