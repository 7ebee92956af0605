// Endpoints that the config file names itself, as a Source like any catalog: a pool without a catalog, and the same drain.
// On the control plane's io_context thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "controlplane/config/config.h"
#include "controlplane/discovery/instance.h"

namespace ringway::cp {

class StaticSource : public Source {
 public:
  // Takes the endpoints of a new config. An endpoint that stays keeps whether it is draining. Calls no callback: whoever
  // reloads the config resolves every service anyway.
  void Configure(const Config& config);
  // Is this service made of endpoints in the file?
  bool Has(const std::string& service) const { return services_.count(service) != 0; }

  std::vector<Instance> Instances(const std::string& service) const override;
  void OnChange(std::function<void(const std::string&)> callback) override;
  bool SetDraining(const std::string& service, const std::string& instance_id, bool draining) override;
  // The file is the truth: what it does not name any more was taken out.
  bool LeftByItself(const std::string&, const std::string&) const override { return true; }
  CatalogState State() const override { return {"static", true, std::chrono::system_clock::now(), ""}; }

 private:
  std::map<std::string, std::vector<Instance>> services_;  // sorted by id
  std::function<void(const std::string&)> callback_;
};

}  // namespace ringway::cp
