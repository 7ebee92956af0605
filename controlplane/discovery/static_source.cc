// See static_source.h.
#include "controlplane/discovery/static_source.h"

#include <algorithm>
#include <utility>

#include "controlplane/config/net_names.h"

namespace ringway::cp {

void StaticSource::Configure(const Config& config) {
  std::map<std::string, std::vector<Instance>> services;
  for (const auto& [name, service] : config.services) {
    if (service.endpoints.empty()) continue;
    const std::vector<Instance> before = Instances(name);
    std::vector<Instance>& instances = services[name];
    for (const StaticEndpoint& endpoint : service.endpoints) {
      Instance instance;
      instance.id = "static/" + FormatHostPort(endpoint.address, endpoint.port);
      instance.generation = 1;  // the id holds the address: another address is another id
      instance.address = endpoint.address;
      instance.port = endpoint.port;
      instance.weight = endpoint.weight;
      instance.health = InstanceHealth::kPassing;
      instance.draining = std::any_of(before.begin(), before.end(), [&](const Instance& old) { return old.id == instance.id && old.draining; });
      instances.push_back(std::move(instance));
    }
    std::sort(instances.begin(), instances.end(), [](const Instance& a, const Instance& b) { return a.id < b.id; });
  }
  services_ = std::move(services);
}

std::vector<Instance> StaticSource::Instances(const std::string& service) const {
  const auto found = services_.find(service);
  return found == services_.end() ? std::vector<Instance>() : found->second;
}

void StaticSource::OnChange(std::function<void(const std::string&)> callback) { callback_ = std::move(callback); }

bool StaticSource::SetDraining(const std::string& service, const std::string& instance_id, bool draining) {
  const auto found = services_.find(service);
  if (found == services_.end()) return false;
  for (Instance& instance : found->second) {
    if (instance.id != instance_id) continue;
    const bool changed = std::exchange(instance.draining, draining) != draining;
    if (changed && callback_) callback_(service);  // the resolver only notes it and acts later
    return true;
  }
  return false;
}

}  // namespace ringway::cp
