// The embedded catalog: one Consul agent and server in this process. It wires the model
// (catalog.h), the agent's rules (agent.h), the store (store.h) and the probes (probes.h) to one
// io_context, and is a Source for the resolver. Owned by main.cc; every call on the io_context's
// thread. Behaviour: docs/reference/catalog_api.md.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/catalog/agent.h"
#include "controlplane/catalog/catalog.h"
#include "controlplane/catalog/store.h"
#include "controlplane/catalog/waiters.h"
#include "controlplane/discovery/instance.h"

namespace ringway::cp {

class Probes;

struct EmbeddedCatalogOptions {
  std::string data_dir;   // holds catalog.db; created when absent
  std::string node_name;  // empty: this host's name
  std::string
      node_address;  // empty: this host's first IPv4 address that is not loopback, else 127.0.0.1
  std::string datacenter = "dc1";
  LeaseTimes lease;
};

class EmbeddedCatalog final : public Source {
 public:
  // Reads the store. Errors name the file and what to do (damaged, in use by another process, newer
  // schema, no permission).
  static absl::StatusOr<std::unique_ptr<EmbeddedCatalog>> Open(boost::asio::io_context& io,
                                                               EmbeddedCatalogOptions options);
  ~EmbeddedCatalog() override;

  // Source. Service names compare without regard to case, as Consul does; OnChange calls back with
  // the spelling that Instances() was last asked for. Instance::weight is the service's own
  // (1..65535), the warning weight while warning.
  std::vector<Instance> Instances(const std::string& service) const override;
  bool TakeChanges(const std::string& service, const ChangeSink& sink) override;
  void OnChange(std::function<void(const std::string& service)> callback) override;
  bool SetDraining(const std::string& service, const std::string& instance_id,
                   bool draining) override;
  // Of the last kLeaversMax that left; the older ones, and those of before a restart, are doubted.
  bool LeftByItself(const std::string& service, const std::string& instance_id) const override;
  CatalogState State() const override;

  // For the HTTP API and the web page.
  const Catalog& catalog() const { return *catalog_; }
  const Agent& agent() const { return agent_; }
  const EmbeddedCatalogOptions& options() const { return options_; }
  std::string node_id() const;

  // Every change goes through here: runs `change` against the agent or the catalog, then wakes
  // readers, starts and stops probes, and has the store write the change at the end of this turn of
  // the loop.
  void Change(const std::function<void(Agent&, Catalog&)>& change);
  // Completes when everything changed so far is in the store. What the store refused (disk full)
  // comes back here.
  boost::asio::awaitable<absl::Status> Written();
  // Completes when one of `keys` is touched (true) or at `deadline` (false).
  boost::asio::awaitable<bool> Touched(std::vector<std::string> keys,
                                       std::chrono::steady_clock::time_point deadline);

 private:
  EmbeddedCatalog(boost::asio::io_context& io, EmbeddedCatalogOptions options,
                  std::unique_ptr<Store> store, std::unique_ptr<Catalog> catalog);
  void FinishTurn();
  absl::Status Flush();
  void ArmTimer();
  void OnTimer(Agent::Time planned);
  void FollowProbes(const Dirty& dirty);
  void RememberLeavers(const Dirty& dirty);
  void NoteChanges(const Dirty& dirty);
  void NotifyServices(const std::set<std::string>& touched);

  boost::asio::io_context& io_;
  const EmbeddedCatalogOptions options_;
  const std::unique_ptr<Store> store_;
  const std::unique_ptr<Catalog> catalog_;
  Agent agent_;
  std::unique_ptr<Probes> probes_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<Waiters> waiters_;
  std::shared_ptr<bool> alive_;

  std::function<void(const std::string&)> on_change_;
  mutable std::map<std::string, std::string> asked_;  // folded service name -> spelling asked for
  // Folded service name -> what has changed since it was last looked at, in any service (Dirty::instances). Without a value:
  // too much, all of it has to be looked at.
  mutable std::map<std::string, std::optional<std::set<std::pair<std::string, std::string>>>> unseen_;
  std::set<std::string> told_;      // further keys for NotifyServices at the end of this turn
  std::set<std::string> vanished_;  // "NODE/SERVICE_ID", node folded: removed in this turn by Tick
  std::set<std::string> left_;      // likewise: removed because somebody asked for it
  std::deque<std::string> left_order_;
  Dirty unwritten_;
  Agent::Time armed_for_ = Agent::Time::max();
  bool turn_posted_ = false;
  uint64_t changes_ = 0;  // turns that changed something
  uint64_t written_ = 0;  // of these, how many the store has taken
  absl::Status write_error_;
};

}  // namespace ringway::cp
