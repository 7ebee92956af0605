// See resolver.h.
#include "controlplane/resolver.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/log/log.h"
#include "controlplane/config/net_names.h"

namespace ringway::cp {
namespace {

constexpr std::chrono::milliseconds kGatherFor{2};
constexpr int kShare = 4;  // of this thread's time at most one in so many goes into settling, however large the pools and the storm

// Is everything the same that only a whole snapshot can carry?
bool SameSettings(const Config& a, const Config& b) {
  if (a.listeners != b.listeners || a.stats != b.stats || a.packet != b.packet || a.access_log != b.access_log || a.connect != b.connect || a.steering != b.steering || a.sessions_max != b.sessions_max ||
      a.shutdown_timeout_ms != b.shutdown_timeout_ms || a.handover_timeout_ms != b.handover_timeout_ms) {
    return false;
  }
  return std::equal(a.services.begin(), a.services.end(), b.services.begin(), b.services.end(),
                    [](const auto& x, const auto& y) { return x.second.settings == y.second.settings; });
}

}  // namespace

std::optional<api::ServiceDelta> DiffEndpoints(const std::string& service, const std::vector<api::Endpoint>& before,
                                               const std::vector<api::Endpoint>& after) {
  api::ServiceDelta delta;
  delta.service = service;
  auto old = before.begin();
  for (const api::Endpoint& endpoint : after) {
    for (; old != before.end() && old->id < endpoint.id; ++old) delta.removed.push_back(old->id);
    const bool same = old != before.end() && *old == endpoint;
    if (old != before.end() && old->id == endpoint.id) ++old;
    if (!same) delta.upserted.push_back(endpoint);
  }
  for (; old != before.end(); ++old) delta.removed.push_back(old->id);
  if (delta.upserted.empty() && delta.removed.empty()) return std::nullopt;
  return delta;
}

Resolver::Resolver(boost::asio::io_context& io, Source& catalog, Checker& checker, FeedState& state)
    : catalog_(catalog), checker_(checker), state_(state), timer_(io), next_look_(io) {
  const auto touch = [this, alive = std::weak_ptr<bool>(alive_)](const std::string& service) {
    if (!alive.expired()) Touch(service);
  };
  catalog_.OnChange(touch);
  checker_.OnChange(touch);
  static_source_.OnChange(touch);
}

Resolver::~Resolver() = default;

Source& Resolver::SourceOf(const std::string& service) {
  if (static_source_.Has(service)) return static_source_;
  return catalog_;
}

const Pool* Resolver::PoolOf(const std::string& service) const {
  const auto found = served_.find(service);
  return found == served_.end() ? nullptr : &found->second.pool;
}

void Resolver::Restore(const std::vector<api::Service>& services) {
  for (const api::Service& service : services) {
    restored_[service.name] = service.endpoints;
    CheckFailures failures;
    for (const api::Endpoint& endpoint : service.endpoints) {
      if (const auto reason = CheckFailureOf(endpoint)) failures[endpoint.id] = {endpoint.generation, *reason};
    }
    checker_.Remember(service.name, std::move(failures));
  }
}

void Resolver::Configure(const Config& config) {
  const bool endpoints_only = snapshot_.version != 0 && SameSettings(config_, config);
  for (const auto& [name, service] : config_.services) {
    if (config.services.count(name) != 0) continue;
    checker_.RemoveService(name);
    catalog_.Forget(name);
    log_.Forget(name);
  }
  for (const auto& [name, service] : config.services) {
    if (!service.health_check) checker_.RemoveService(name);  // before its verdicts are asked for
  }
  config_ = config;
  static_source_.Configure(config);
  if (endpoints_only) {
    for (const auto& [name, service] : config.services) touched_.insert(name);
    Settle();
    for (const auto& [name, service] : config.services) Check(service, snapshot_.services[served_.at(name).index].endpoints);
    return;
  }
  ConfigureWhole();
}

void Resolver::ConfigureWhole() {
  api::Snapshot next;
  next.epoch = snapshot_.epoch;
  next.version = snapshot_.version;
  next.listeners = config_.listeners;
  next.stats = config_.stats;
  next.packet = config_.packet;
  next.access_log = config_.access_log;
  next.connect = config_.connect;
  next.steering = config_.steering;
  next.sessions_max = config_.sessions_max;
  next.shutdown_timeout_ms = config_.shutdown_timeout_ms;
  next.handover_timeout_ms = config_.handover_timeout_ms;
  std::map<std::string, Served> served_before = std::exchange(served_, {});
  for (const auto& [name, service] : config_.services) {
    auto old = served_before.extract(name);
    Served& served = served_[name];
    std::vector<api::Endpoint> before;
    if (!old.empty()) {
      before = std::move(snapshot_.services[old.mapped().index].endpoints);
      served = std::move(old.mapped());
    } else {
      before = TakeRestored(name, served);
    }
    served.index = next.services.size();
    next.services.push_back(service.settings);
    next.services.back().endpoints = Resolve(service, served, before);
    Check(service, next.services.back().endpoints);
  }
  restored_.clear();
  touched_.clear();
  snapshot_ = std::move(next);
  ScheduleNextLook();
  NextVersion(nullptr);
}

// The endpoints of one service from before the restart. Those in the file are as the file says, but for drains.
std::vector<api::Endpoint> Resolver::TakeRestored(const std::string& service, Served& served) {
  auto node = restored_.extract(service);
  if (node.empty()) return {};
  if (&SourceOf(service) == &static_source_) {
    for (const api::Endpoint& one : node.mapped()) {
      if (one.state == api::EndpointState::kDraining) static_source_.SetDraining(service, one.id, true);
    }
    return {};
  }
  served.source = &catalog_;
  for (const api::Endpoint& one : node.mapped()) served.restored.push_back(InstanceOf(one));
  return std::move(node.mapped());
}

void Resolver::Touch(const std::string& service) {
  if (served_.count(service) == 0) return;  // in the catalog, but nobody routes to it
  touched_.insert(service);
  Schedule();
}

void Resolver::SetEjected(const std::string& service, EjectedEndpoints ejected) {
  const auto found = served_.find(service);
  if (found == served_.end() || found->second.ejected == ejected) return;
  found->second.ejected = std::move(ejected);
  Touch(service);
}

void Resolver::Schedule() {
  if (std::exchange(scheduled_, true)) return;
  timer_.expires_at(std::max(std::chrono::steady_clock::now(), settled_at_ + std::max<std::chrono::steady_clock::duration>(kGatherFor, kShare * settling_took_)));
  timer_.async_wait([this, alive = std::weak_ptr<bool>(alive_)](boost::system::error_code) {
    if (alive.expired()) return;
    scheduled_ = false;
    Settle();
  });
}

// One timer for all pools: whose time has come is looked at again.
void Resolver::ScheduleNextLook() {
  Pool::Time at = Pool::Time::max();
  for (const auto& [name, served] : served_) at = std::min(at, served.pool.next_look());
  if (std::exchange(next_look_at_, at) == at) return;
  if (at == Pool::Time::max()) {
    next_look_.cancel();
    return;
  }
  next_look_.expires_at(at);
  next_look_.async_wait([this, alive = std::weak_ptr<bool>(alive_)](boost::system::error_code error) {
    if (error || alive.expired()) return;
    next_look_at_ = Pool::Time::max();
    const auto now = std::chrono::steady_clock::now();
    for (const auto& [name, served] : served_) {
      if (served.pool.next_look() <= now) touched_.insert(name);
    }
    Settle();
  });
}

void Resolver::Settle() {
  settled_at_ = std::chrono::steady_clock::now();
  api::Delta delta;
  for (const std::string& name : std::exchange(touched_, {})) {
    const auto found = served_.find(name);
    if (found == served_.end()) continue;
    const ServiceConfig& service = config_.services.at(name);
    std::vector<api::Endpoint>& endpoints = snapshot_.services[found->second.index].endpoints;
    std::vector<api::Endpoint> now = Resolve(service, found->second, endpoints);
    auto changed = DiffEndpoints(name, endpoints, now);
    if (!changed) continue;
    log_.Changed(endpoints, now, *changed, settled_at_);
    endpoints = std::move(now);
    CheckChanged(service, *changed);
    delta.services.push_back(std::move(*changed));
  }
  ScheduleNextLook();
  if (!delta.services.empty()) NextVersion(&delta);
  settling_took_ = std::chrono::steady_clock::now() - settled_at_;
}

const std::vector<Instance>& Resolver::Instances(const std::string& service, Served& served) {
  Source& source = SourceOf(service);
  std::vector<Instance>& instances = served.instances;
  const auto take = [&](const std::string& id, const Instance* now) {
    const auto place = std::lower_bound(instances.begin(), instances.end(), id, [](const Instance& one, const std::string& key) { return one.id < key; });
    const bool known = place != instances.end() && place->id == id;
    if (now == nullptr || !Usable(service, *now)) {
      if (known) instances.erase(place);
    } else if (known) {
      *place = *now;
    } else {
      instances.insert(place, *now);
    }
  };
  if (served.followed && source.TakeChanges(service, take)) return instances;
  instances = source.Instances(service);  // asking is what makes a catalog follow the service
  served.followed = source.Knows(service);
  if (!served.followed) return served.restored;
  served.restored.clear();
  std::erase_if(instances, [&](const Instance& instance) { return !Usable(service, instance); });
  return instances;
}

bool Resolver::Usable(const std::string& service, const Instance& instance) {
  if (instance.port != 0 && IsIpLiteral(instance.address)) return true;
  if (unusable_logged_.size() < 10000 && unusable_logged_.insert(service + "/" + instance.id).second) {
    spdlog::warn("{} {} is left out: wanted an IP address and a port, it is registered as \"{}\" port {}", service, instance.id, instance.address, instance.port);
  }
  return false;
}

std::vector<api::Endpoint> Resolver::Resolve(const ServiceConfig& service, Served& served, const std::vector<api::Endpoint>& before) {
  static const std::vector<api::Endpoint> kNone;
  const std::string& name = service.settings.name;
  const Source& source = SourceOf(name);
  const bool same_source = served.source == &source;
  if (!same_source) {  // new; or the file has taken the service over from the catalog, or the other way round
    served.pool = Pool();
    served.followed = false;
    if (served.source == &catalog_) catalog_.Forget(name);
  }
  served.source = &source;
  const std::vector<Instance>& instances = Instances(name, served);
  const Pool::Evidence evidence{instances, checker_.Failing(name), served.ejected,
                                [&](const std::string& id) { return source.LeftByItself(name, id); }};
  const Pool::Rules rules{std::chrono::milliseconds(service.empty_hold_ms), std::chrono::milliseconds(service.flap_hold_max_ms),
                          service.settings.ejected_percent_max};
  auto endpoints = served.pool.Judge(rules, evidence, same_source ? before : kNone, std::chrono::steady_clock::now());
  log_.Judged(name, served.pool, rules);
  return endpoints;
}

// Every endpoint is checked, also those that get no requests: that is how they come back.
void Resolver::Check(const ServiceConfig& service, const std::vector<api::Endpoint>& endpoints) {
  std::vector<CheckTarget> targets;
  for (const api::Endpoint& one : endpoints) targets.push_back({one.id, one.generation, one.address, one.port});
  checker_.SetTargets(service.settings.name, service.health_check, targets);
}

void Resolver::CheckChanged(const ServiceConfig& service, const api::ServiceDelta& delta) {
  if (!service.health_check) return;
  for (const api::Endpoint& one : delta.upserted) {
    checker_.SetTarget(service.settings.name, *service.health_check, {one.id, one.generation, one.address, one.port});
  }
  for (const std::string& id : delta.removed) checker_.RemoveTarget(service.settings.name, id);
}

void Resolver::NextVersion(const api::Delta* delta) {
  const uint64_t before = snapshot_.version;
  const std::string epoch_before = snapshot_.epoch;
  snapshot_.version = state_.NextVersion();
  snapshot_.epoch = state_.epoch();
  if (!publish_) return;
  if (delta == nullptr || epoch_before != snapshot_.epoch) return publish_(snapshot_, nullptr);
  api::Delta complete = *delta;
  complete.epoch = snapshot_.epoch;
  complete.from_version = before;
  complete.version = snapshot_.version;
  publish_(snapshot_, &complete);
}

}  // namespace ringway::cp
