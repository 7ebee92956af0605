// The HTTP side of the stats: pages, authentication, and the listener that follows the snapshot's stats section. Main thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "common/api/feed.h"
#include "common/http/server.h"
#include "dataplane/feed/listener_sockets.h"
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
  // A socket that listens at `bind`, from the dataplane before this one: used when the section says so. Before Configure.
  void Inherit(std::string bind, UniqueFd listening);
  // The successor answers from now on: accepts no more, and what was accepted is closed a second later.
  void Leave();
  // Where it listens, as configured, and with which descriptor: -1 while it does not.
  const std::string& bind() const { return stats_.bind; }
  int listening_fd() const { return server_ == nullptr || !configured_ ? -1 : server_->listening_fd(); }
  // Zero while it listens nowhere.
  uint16_t port() const { return server_ == nullptr ? 0 : server_->port(); }

 private:
  void Open();
  absl::StatusOr<std::unique_ptr<http::Server>> Listen();
  http::Response Answer(const http::Request& request) const;
  http::Response AnswerPage(const http::Request& request, const std::string& path) const;

  boost::asio::io_context& io_;
  const Collector& collector_;
  api::Stats stats_;
  bool configured_ = false;  // false: probes only
  bool failing_ = false;
  bool leaving_ = false;
  std::string inherited_bind_;
  UniqueFd inherited_;
  std::unique_ptr<http::Server> server_;
  boost::asio::steady_timer retry_;
};

}  // namespace ringway::dp
