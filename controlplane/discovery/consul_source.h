// A real Consul as the catalog: what is known of each routed service, out of its answers (consul_follow.h), with the drains that
// Consul has no place for. Whatever Consul does or does not answer, the last good answer stays. Owned by main.cc; control
// plane's thread. For operators: docs/operating/consul.md.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/config/config.h"
#include "controlplane/discovery/consul_drains.h"
#include "controlplane/discovery/consul_follow.h"
#include "controlplane/discovery/instance.h"

namespace ringway::cp {

class ConsulSource final : public Source {
 public:
  // InvalidArgument: something in `config` cannot be used (a file, an address). A Consul that does not answer is no error.
  static absl::StatusOr<std::unique_ptr<ConsulSource>> Open(boost::asio::io_context& io, const ConsulConfig& config, const std::string& data_dir);

  // The first call for a service begins to follow it, Forget ends that.
  std::vector<Instance> Instances(const std::string& service) const override;
  bool Knows(const std::string& service) const override { return services_.contains(service); }
  void Forget(const std::string& service) override;
  void OnChange(std::function<void(const std::string& service)> callback) override { on_change_ = std::move(callback); }
  bool SetDraining(const std::string& service, const std::string& instance_id, bool draining) override;
  // When it was in maintenance or draining when it was last seen.
  bool LeftByItself(const std::string& service, const std::string& instance_id) const override;
  CatalogState State() const override { return follow_->State(); }

 private:
  struct Service {
    std::vector<Instance> instances;     // sorted by id; `draining` is not set here
    std::map<std::string, bool> gone;    // id -> left by itself; of the last answers, bounded
  };

  ConsulSource(boost::asio::io_context& io, std::shared_ptr<ConsulLink> link, const std::string& data_dir);
  bool OnAnswer(const std::string& name, std::vector<Instance> instances);

  boost::asio::io_context& io_;
  ConsulDrains drains_;
  std::map<std::string, Service> services_;  // those that were answered for
  std::function<void(const std::string&)> on_change_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  const std::unique_ptr<ConsulFollow> follow_;  // last: its watches end before what they tell
};

}  // namespace ringway::cp
