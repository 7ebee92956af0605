// The resolver turns config, discovery and health into the one snapshot that is pushed. It holds the current snapshot, works
// out anew only the service that was touched, and gives out a version only when something really changed; touches within one
// turn of the loop, or 2 ms, are taken together. All on the control plane's io_context thread.
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
#include "controlplane/config/config.h"
#include "controlplane/discovery/instance.h"
#include "controlplane/discovery/static_source.h"
#include "controlplane/feed_state.h"
#include "controlplane/health/checker.h"

namespace ringway::cp {

// What an instance becomes in the snapshot, given its active check's verdict. Ready only when the catalog says passing, the
// active check is not down, and nobody drains it; else the reason in words.
api::Endpoint MakeEndpoint(const Instance& instance, const CheckVerdict& verdict);

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

  // Takes a new config and publishes at once what it changes.
  void Configure(const Config& config);
  // Something about this service may have changed; it is looked at within 2 ms.
  void Touch(const std::string& service);
  // Does now what Touch has put off.
  void Settle();

  const api::Snapshot& snapshot() const { return snapshot_; }
  const Config& config() const { return config_; }
  // Where this service's instances come from: the file or the catalog.
  Source& SourceOf(const std::string& service);

 private:
  void Schedule();
  // The endpoints of one service as they are now; tells the checker whom to check.
  std::vector<api::Endpoint> Resolve(const ServiceConfig& service);
  void NextVersion(const api::Delta* delta);

  Source& catalog_;
  Checker& checker_;
  FeedState& state_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Publish publish_;
  Config config_;
  StaticSource static_source_;
  api::Snapshot snapshot_;
  std::map<std::string, size_t> index_;  // service -> position in snapshot_.services
  std::set<std::string> touched_;
  std::set<std::string> unusable_logged_;  // instances without a usable address, said once
  bool scheduled_ = false;
  boost::asio::steady_timer timer_;
  std::chrono::steady_clock::time_point settled_at_{};
};

}  // namespace ringway::cp
