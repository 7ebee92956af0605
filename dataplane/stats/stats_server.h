// The HTTP side of the stats: pages, authentication, and the listener that follows the snapshot's stats section. Main thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "common/api/feed.h"
#include "common/http/server.h"
#include "dataplane/stats/collector.h"

namespace ringway::dp {

class StatsServer {
 public:
  StatsServer(boost::asio::io_context& io, const Collector& collector);

  // Listens where the section says and asks for its credentials from now on. An address that cannot be bound is logged and
  // tried again every second.
  void Configure(const api::Stats& stats);
  // Before the first snapshot: /ready and /live only, on the default address, if it is free.
  void ServeProbesOnly();
  // Zero while it listens nowhere.
  uint16_t port() const { return server_ == nullptr ? 0 : server_->port(); }

 private:
  void Open();
  http::Response Answer(const http::Request& request) const;
  http::Response AnswerPage(const http::Request& request, const std::string& path) const;

  boost::asio::io_context& io_;
  const Collector& collector_;
  api::Stats stats_;
  bool configured_ = false;  // false: probes only
  bool warned_ = false;    // of admin:admin
  bool failing_ = false;
  std::unique_ptr<http::Server> server_;
  boost::asio::steady_timer retry_;
};

}  // namespace ringway::dp
