// See consul_source.h.
#include "controlplane/discovery/consul_source.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

namespace ringway::cp {
namespace {

constexpr size_t kGoneMax = 10000;  // remembered instances of one service that are gone

const Instance* FindIn(const std::vector<Instance>& instances, const std::string& id) {
  const auto found = std::lower_bound(instances.begin(), instances.end(), id, [](const Instance& one, const std::string& wanted) { return one.id < wanted; });
  return found != instances.end() && found->id == id ? &*found : nullptr;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ConsulSource>> ConsulSource::Open(boost::asio::io_context& io, const ConsulConfig& config, const std::string& data_dir) {
  auto link = ConsulLink::Open(io, config);
  if (!link.ok()) return link.status();
  std::unique_ptr<ConsulSource> source(new ConsulSource(io, *std::move(link), data_dir));
  source->follow_->Start();
  return source;
}

ConsulSource::ConsulSource(boost::asio::io_context& io, std::shared_ptr<ConsulLink> link, const std::string& data_dir)
    : io_(io), drains_(data_dir),
      follow_(std::make_unique<ConsulFollow>(
          io, std::move(link), [this](const std::string& name, std::vector<Instance> instances) { return OnAnswer(name, std::move(instances)); },
          [this](const std::string& name) {
            const auto known = services_.find(name);
            return known == services_.end() ? std::vector<Instance>() : known->second.instances;
          })) {}

std::vector<Instance> ConsulSource::Instances(const std::string& service) const {
  follow_->Follow(service);
  const auto known = services_.find(service);
  if (known == services_.end()) return {};
  std::vector<Instance> instances = known->second.instances;
  for (Instance& instance : instances) instance.draining = drains_.Draining(service, instance);
  return instances;
}

void ConsulSource::Forget(const std::string& service) {
  follow_->Forget(service);
  services_.erase(service);
}

bool ConsulSource::OnAnswer(const std::string& name, std::vector<Instance> instances) {
  const bool first = !services_.contains(name);
  Service& service = services_[name];
  if (!first && service.instances == instances) return false;
  if (service.gone.size() > kGoneMax) service.gone.clear();
  for (const Instance& before : service.instances) {
    if (FindIn(instances, before.id) != nullptr) continue;
    service.gone[before.id] = before.health == InstanceHealth::kMaintenance || drains_.Draining(name, before);
  }
  for (const Instance& now : instances) service.gone.erase(now.id);
  service.instances = std::move(instances);
  drains_.OnAnswer(name, service.instances, std::chrono::steady_clock::now());
  if (on_change_) on_change_(name);  // from a watch, never inside a call into the source
  return true;
}

bool ConsulSource::SetDraining(const std::string& service, const std::string& instance_id, bool draining) {
  const auto known = services_.find(service);
  if (known == services_.end()) return false;
  const Instance* instance = FindIn(known->second.instances, instance_id);
  if (instance == nullptr) return false;
  if (!drains_.Set(service, *instance, draining)) return true;
  boost::asio::post(io_, [this, alive = std::weak_ptr<bool>(alive_), service] {
    if (!alive.expired() && on_change_) on_change_(service);
  });
  return true;
}

bool ConsulSource::LeftByItself(const std::string& service, const std::string& instance_id) const {
  const auto known = services_.find(service);
  if (known == services_.end()) return false;
  const auto gone = known->second.gone.find(instance_id);
  return gone != known->second.gone.end() && gone->second;
}

}  // namespace ringway::cp
