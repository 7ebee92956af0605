// The connections that sidecars hold for their instances (docs/reference/catalog_api.md, "Leases"). Owned by the
// catalog's HTTP server; on the io_context's thread. A lease is one coroutine, one timer and one socket: it wakes once a
// heartbeat and when its connection ends. Bounded by `leases_max`.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/http/heartbeat.h"
#include "controlplane/catalog/embedded_catalog.h"

namespace ringway::cp {

class Leases : public std::enable_shared_from_this<Leases> {
 public:
  // `catalog` outlives Close().
  Leases(boost::asio::io_context& io, EmbeddedCatalog& catalog, size_t leases_max);

  // May a lease for this service be offered now? NotFound, or ResourceExhausted at the limit.
  absl::Status Admit(const std::string& service_id) const;
  // The lease lasts as long as `socket`, or until a newer connection takes it.
  void Take(const std::string& service_id, const std::string& holder, http::Socket socket);
  // The connections end, and nothing becomes critical by that.
  void Close();

  std::chrono::milliseconds heartbeat() const { return times_.interval; }

 private:
  static boost::asio::awaitable<void> Hold(std::shared_ptr<Leases> self, std::string service_id, uint64_t number,
                                           http::Socket socket);
  void OnEnded(const std::string& service_id, uint64_t number, const http::HeartbeatEnd& end);
  void LogEnd(const std::string& service_id, const std::string& why);

  boost::asio::io_context& io_;
  EmbeddedCatalog& catalog_;
  const size_t leases_max_;
  const http::HeartbeatTimes times_;
  size_t held_ = 0;
  bool closed_ = false;
  boost::asio::steady_timer log_again_;  // runs after a burst's first lines
  uint32_t logged_ = 0;                  // ends in this burst
};

}  // namespace ringway::cp
