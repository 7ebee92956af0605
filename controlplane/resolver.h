// The resolver turns config, discovery and health into the one snapshot that is pushed. It holds the current snapshot, works
// out anew only the service that was touched, and gives out a version only when something really changed; touches within one
// turn of the loop, or 2 ms, are taken together, or within a longer time where large pools take longer to judge. What an
// instance becomes is a Pool's to say. All on the control plane's io_context thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/api/feed.h"
#include "controlplane/change_log.h"
#include "controlplane/config/config.h"
#include "controlplane/discovery/instance.h"
#include "controlplane/discovery/static_source.h"
#include "controlplane/feed_state.h"
#include "controlplane/health/checker.h"
#include "controlplane/pool/pool.h"

namespace ringway::cp {

// What changed between two lists of one service, both sorted by id; nullopt when nothing did.
std::optional<api::ServiceDelta> DiffEndpoints(const std::string& service, const std::vector<api::Endpoint>& before,
                                               const std::vector<api::Endpoint>& after);

class Resolver {
 public:
  // A null delta: more than endpoints changed, the snapshot has to travel whole.
  using Publish = std::function<void(const api::Snapshot& now, const api::Delta* delta)>;

  // Follows `catalog` and `checker` through their OnChange. All three must outlive the resolver.
  Resolver(boost::asio::io_context& io, Source& catalog, Checker& checker, FeedState& state);
  ~Resolver();

  void OnPublish(Publish publish) { publish_ = std::move(publish); }

  // Before the first Configure: the services as they were before a restart. Their endpoints stay until the catalog answers.
  void Restore(const std::vector<api::Service>& services);
  // Takes a new config and publishes at once what it changes.
  void Configure(const Config& config);
  // Something about this service may have changed; it is looked at within 2 ms.
  void Touch(const std::string& service);
  // What dataplanes have ejected of this service now.
  void SetEjected(const std::string& service, EjectedEndpoints ejected);
  // Does now what Touch has put off.
  void Settle();

  const api::Snapshot& snapshot() const { return snapshot_; }
  const Config& config() const { return config_; }
  // Where this service's instances come from: the file or the catalog.
  Source& SourceOf(const std::string& service);
  // Null when nobody routes to it.
  const Pool* PoolOf(const std::string& service) const;

 private:
  // A service of the config.
  struct Served {
    size_t index = 0;  // in snapshot_.services
    const Source* source = nullptr;  // that the pool was judged by
    Pool pool;
    EjectedEndpoints ejected;
    std::vector<Instance> restored;  // what counts until the source knows the service
    std::vector<Instance> instances;  // as the source last told, without those that cannot be used
    bool followed = false;            // `instances` is what the source's changes build on
  };

  void Schedule();
  void ScheduleNextLook();
  void ConfigureWhole();
  std::vector<api::Endpoint> TakeRestored(const std::string& service, Served& served);
  const std::vector<Instance>& Instances(const std::string& service, Served& served);
  bool Usable(const std::string& service, const Instance& instance);
  // The endpoints of one service as they are now.
  std::vector<api::Endpoint> Resolve(const ServiceConfig& service, Served& served, const std::vector<api::Endpoint>& before);
  void Check(const ServiceConfig& service, const std::vector<api::Endpoint>& endpoints);
  void CheckChanged(const ServiceConfig& service, const api::ServiceDelta& delta);
  void NextVersion(const api::Delta* delta);

  Source& catalog_;
  Checker& checker_;
  FeedState& state_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Publish publish_;
  Config config_;
  StaticSource static_source_;
  api::Snapshot snapshot_;
  std::map<std::string, Served> served_;
  std::map<std::string, std::vector<api::Endpoint>> restored_;  // until the first Configure
  std::set<std::string> touched_;
  std::set<std::string> unusable_logged_;  // instances without a usable address, said once
  ChangeLog log_;
  bool scheduled_ = false;
  boost::asio::steady_timer timer_;
  std::chrono::steady_clock::time_point settled_at_{};
  std::chrono::steady_clock::duration settling_took_{};  // the last time
  boost::asio::steady_timer next_look_;  // a hold or a wait of some pool ends
  Pool::Time next_look_at_ = Pool::Time::max();
};

}  // namespace ringway::cp
