// All services of one Consul that are routed to: a watch for each, and the judgement whether the catalog is well, which means
// that it answers probes and that every watch follows it. When it comes back, every watch asks at once. Control plane's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "controlplane/discovery/consul_link.h"
#include "controlplane/discovery/consul_watch.h"
#include "controlplane/discovery/instance.h"

namespace ringway::cp {

class ConsulFollow {
 public:
  // An agent lets one client have 200 connections (limits.http_max_conns_per_client); some are left for probes and others.
  // More services than this take turns, and then learn of a change some seconds late.
  static constexpr size_t kWatchesAtOnce = 180;

  using Answered = std::function<bool(const std::string& service, std::vector<Instance> instances)>;
  using Known = std::function<std::vector<Instance>(const std::string& service)>;

  ConsulFollow(boost::asio::io_context& io, std::shared_ptr<ConsulLink> link, Answered answered, Known known);
  ~ConsulFollow();

  void Start();
  void Follow(const std::string& service);  // again and again is fine
  void Forget(const std::string& service);
  CatalogState State() const;

 private:
  WatchHooks HooksOf(const std::string& service);
  void OnFollowed(const std::string& service);
  void OnFailed(const std::string& service, const std::string& why);
  void RestartAll();
  void Judge();
  void Tell();
  std::string Why() const;

  boost::asio::io_context& io_;
  const std::shared_ptr<ConsulLink> link_;
  const Answered answered_;
  const Known known_;
  const std::shared_ptr<Turns> turns_;
  std::map<std::string, std::shared_ptr<ConsulWatch>> watches_;
  std::map<std::string, std::string> failing_;  // service -> why
  std::set<std::string> unconfirmed_;           // have not been answered since the last restart of all

  bool ok_ = false;
  std::chrono::system_clock::time_point good_at_ = std::chrono::system_clock::now();
  std::chrono::steady_clock::time_point down_since_ = std::chrono::steady_clock::now();
  bool ever_ok_ = false;
  bool told_down_ = false;
  bool told_turns_ = false;
  std::chrono::steady_clock::time_point told_at_{};
};

}  // namespace ringway::cp
