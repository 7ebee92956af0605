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
constexpr uint32_t kWeightMax = 256;

std::string CatalogReason(const Instance& instance) {
  switch (instance.health) {
    case InstanceHealth::kPassing: return "";
    case InstanceHealth::kWarning: return instance.reason.empty() ? "a check in the catalog warns" : "catalog check warns: " + instance.reason;
    case InstanceHealth::kCritical: return instance.reason.empty() ? "a check in the catalog is critical" : "catalog check critical: " + instance.reason;
    case InstanceHealth::kMaintenance: return instance.reason.empty() ? "in maintenance" : "in maintenance: " + instance.reason;
  }
  return "";
}

// A line for each endpoint that came, went or changed its state; a mass change is one line, so that the log stays readable.
void LogChanges(const std::vector<api::Endpoint>& before, const api::ServiceDelta& delta) {
  constexpr size_t kLinesMax = 20;
  if (delta.upserted.size() + delta.removed.size() > kLinesMax) {
    return spdlog::info("{}: {} endpoints came or changed, {} are gone", delta.service, delta.upserted.size(), delta.removed.size());
  }
  for (const api::Endpoint& now : delta.upserted) {
    const auto old = std::lower_bound(before.begin(), before.end(), now.id, [](const api::Endpoint& one, const std::string& id) { return one.id < id; });
    if (old != before.end() && old->id == now.id && old->generation == now.generation && old->state == now.state) continue;
    const std::string what = now.state == api::EndpointState::kReady ? "ready" : now.state == api::EndpointState::kDown ? "down: " + now.reason : now.reason;
    const auto level = now.state == api::EndpointState::kDown ? spdlog::level::warn : spdlog::level::info;
    spdlog::log(level, "{} {} ({}) is {}", delta.service, now.id, FormatHostPort(now.address, now.port), what);
  }
  for (const std::string& id : delta.removed) spdlog::info("{} {} is gone", delta.service, id);
}

// The line to find at night: a service that stops being served, and that it is again.
void LogServed(const std::string& service, const std::vector<api::Endpoint>& before, const std::vector<api::Endpoint>& after) {
  const auto served = [](const std::vector<api::Endpoint>& endpoints) {
    return std::any_of(endpoints.begin(), endpoints.end(), [](const api::Endpoint& one) { return one.state == api::EndpointState::kReady; });
  };
  if (served(before) == served(after)) return;
  if (served(after)) return spdlog::info("{} is served again", service);
  spdlog::error("{} is not served: {} endpoints, none of them ready", service, after.size());
}

// Is everything the same that only a whole snapshot can carry?
bool SameSettings(const Config& a, const Config& b) {
  if (a.listeners != b.listeners || a.stats != b.stats || a.sessions_max != b.sessions_max ||
      a.shutdown_timeout_ms != b.shutdown_timeout_ms || a.handover_timeout_ms != b.handover_timeout_ms) {
    return false;
  }
  return std::equal(a.services.begin(), a.services.end(), b.services.begin(), b.services.end(),
                    [](const auto& x, const auto& y) { return x.second.settings == y.second.settings; });
}

}  // namespace

api::Endpoint MakeEndpoint(const Instance& instance, const CheckVerdict& verdict) {
  api::Endpoint endpoint;
  endpoint.id = instance.id;
  endpoint.generation = instance.generation;
  endpoint.address = instance.address;
  endpoint.port = instance.port;
  endpoint.weight = std::clamp<uint32_t>(instance.weight, 1, kWeightMax);
  if (instance.draining) {
    endpoint.state = api::EndpointState::kDraining;
    endpoint.reason = "draining: asked for by its sidecar or by hand";
  } else if (instance.health != InstanceHealth::kPassing) {
    endpoint.state = api::EndpointState::kDown;
    endpoint.reason = CatalogReason(instance);
  } else if (!verdict.up) {
    endpoint.state = api::EndpointState::kDown;
    endpoint.reason = "active check failed: " + verdict.reason;
  }
  return endpoint;
}

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
    : catalog_(catalog), checker_(checker), state_(state), timer_(io) {
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

void Resolver::Configure(const Config& config) {
  for (const auto& [name, service] : config_.services) {
    if (config.services.count(name) == 0) checker_.RemoveService(name);
  }
  const bool endpoints_only = snapshot_.version != 0 && SameSettings(config_, config);
  config_ = config;
  static_source_.Configure(config);
  if (endpoints_only) {
    for (const auto& [name, service] : config.services) touched_.insert(name);
    return Settle();
  }
  api::Snapshot next;
  next.listeners = config.listeners;
  next.stats = config.stats;
  next.sessions_max = config.sessions_max;
  next.shutdown_timeout_ms = config.shutdown_timeout_ms;
  next.handover_timeout_ms = config.handover_timeout_ms;
  index_.clear();
  for (const auto& [name, service] : config.services) {
    index_[name] = next.services.size();
    next.services.push_back(service.settings);
    next.services.back().endpoints = Resolve(service);
  }
  touched_.clear();
  next.epoch = snapshot_.epoch;
  next.version = snapshot_.version;
  snapshot_ = std::move(next);
  NextVersion(nullptr);
}

void Resolver::Touch(const std::string& service) {
  if (index_.count(service) == 0) return;  // in the catalog, but nobody routes to it
  touched_.insert(service);
  Schedule();
}

void Resolver::Schedule() {
  if (std::exchange(scheduled_, true)) return;
  timer_.expires_at(std::max(std::chrono::steady_clock::now(), settled_at_ + kGatherFor));
  timer_.async_wait([this, alive = std::weak_ptr<bool>(alive_)](boost::system::error_code) {
    if (alive.expired()) return;
    scheduled_ = false;
    Settle();
  });
}

void Resolver::Settle() {
  settled_at_ = std::chrono::steady_clock::now();
  api::Delta delta;
  for (const std::string& name : std::exchange(touched_, {})) {
    const auto found = index_.find(name);
    if (found == index_.end()) continue;
    std::vector<api::Endpoint>& endpoints = snapshot_.services[found->second].endpoints;
    std::vector<api::Endpoint> now = Resolve(config_.services.at(name));
    auto changed = DiffEndpoints(name, endpoints, now);
    if (!changed) continue;
    LogChanges(endpoints, *changed);
    LogServed(name, endpoints, now);
    endpoints = std::move(now);
    delta.services.push_back(std::move(*changed));
  }
  if (!delta.services.empty()) NextVersion(&delta);
}

std::vector<api::Endpoint> Resolver::Resolve(const ServiceConfig& service) {
  const std::string& name = service.settings.name;
  std::vector<Instance> instances = SourceOf(name).Instances(name);
  std::vector<CheckTarget> targets;
  std::vector<api::Endpoint> endpoints;
  std::erase_if(instances, [&](const Instance& instance) {
    if (instance.port != 0 && IsIpLiteral(instance.address)) return false;
    if (unusable_logged_.size() < 10000 && unusable_logged_.insert(name + "/" + instance.id).second) {
      spdlog::warn("{} {} is left out: wanted an IP address and a port, it is registered as \"{}\" port {}", name, instance.id, instance.address, instance.port);
    }
    return true;
  });
  for (const Instance& instance : instances) targets.push_back({instance.id, instance.generation, instance.address, instance.port});
  checker_.SetTargets(name, service.health_check, targets);
  for (const Instance& instance : instances) {
    endpoints.push_back(MakeEndpoint(instance, checker_.Verdict(name, instance.id, instance.generation)));
  }
  return endpoints;
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
