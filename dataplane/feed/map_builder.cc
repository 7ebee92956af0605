// Snapshot to map, in two steps: everything that can fail, then everything that cannot; see map_builder.h.
#include "dataplane/feed/map_builder.h"

#include <algorithm>
#include <new>
#include <set>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/log/log.h"
#include "dataplane/feed/address.h"
#include "dataplane/feed/identity.h"
#include "dataplane/feed/validate.h"

namespace ringway::dp {
namespace {

bool Same(const ServiceEntry& a, const ServiceEntry& b) { return a == b; }

bool Same(const ListenerEntry& a, const ListenerEntry& b) {
  const auto scalars = [](const ListenerEntry& l) {
    return std::tie(l.handle, l.name, l.protocol, l.sockets, l.head_timeout_ms,
                    l.client_idle_timeout_ms, l.head_bytes_max, l.target_bytes_max, l.access_log);
  };
  const auto same_route = [](const RouteEntry& x, const RouteEntry& y) {
    return std::tie(x.host, x.path, x.service) == std::tie(y.host, y.path, y.service);
  };
  const auto same_block = [](const IpBlock& x, const IpBlock& y) {
    return x.address == y.address && x.bits == y.bits;
  };
  return scalars(a) == scalars(b) && a.address == b.address &&
         std::equal(a.routes.begin(), a.routes.end(), b.routes.begin(), b.routes.end(), same_route) &&
         std::equal(a.trusted_proxies.begin(), a.trusted_proxies.end(), b.trusted_proxies.begin(),
                    b.trusted_proxies.end(), same_block);
}

// Equal entries stay the same object in the next map: workers then need not look at them.
template <typename Entry>
void Place(std::vector<std::shared_ptr<const Entry>>& slots, uint32_t handle, Entry entry) {
  if (slots.size() <= handle) slots.resize(handle + 1);
  if (slots[handle] != nullptr && Same(*slots[handle], entry)) return;
  slots[handle] = std::make_shared<const Entry>(std::move(entry));
}

template <typename Counters>
void Zero(Counters& counters) {
  counters.~Counters();
  new (&counters) Counters();
}

}  // namespace

MapBuilder::MapBuilder(std::vector<WorkerShared*> workers) : workers_(std::move(workers)) {}

absl::StatusOr<std::unique_ptr<const BackendMap>> MapBuilder::Build(
    std::shared_ptr<const api::Snapshot> snapshot) {
  unopened_.clear();
  const std::vector<ServiceChange> changes = ChangedServices(directory_.snapshot.get(), *snapshot);
  if (absl::Status s = Validate(*snapshot, changes); !s.ok()) return s;
  PreparePacket(*snapshot);
  if (absl::Status s = CheckRoom(*snapshot, changes); !s.ok()) return s;
  absl::StatusOr<std::vector<Opened>> opened = OpenNewListeners(*snapshot);
  if (!opened.ok()) return opened.status();
  // From here on nothing fails.
  ++current_.version;
  for (const ServiceChange& change : changes) CommitService(change);
  CommitListeners(*snapshot, *std::move(opened));
  directory_.snapshot = std::move(snapshot);
  return std::make_unique<const BackendMap>(current_);
}

absl::Status MapBuilder::CheckRoom(const api::Snapshot& snapshot, const std::vector<ServiceChange>& changes) const {
  size_t endpoints = 0, services = 0, listeners = 0;
  for (const ServiceChange& change : changes) {
    if (change.after == nullptr) continue;
    services += service_handles_.Known(change.after->name) ? 0 : 1;
    for (size_t i = 0; i < change.after->endpoints.size(); ++i) {
      if (change.SameInstance(i) != ServiceChange::kNone) continue;
      endpoints += endpoint_handles_.Known(EndpointIdentity(change.after->name, change.after->endpoints[i])) ? 0 : 1;
    }
  }
  for (const api::Listener& listener : snapshot.listeners) {
    listeners += listener_handles_.Find(Identity(listener)).has_value() ? 0 : 1;
  }
  const auto check = [](const char* what, size_t wanted, const HandleTable& table) {
    if (wanted <= table.available()) return absl::OkStatus();
    return absl::ResourceExhaustedError(absl::StrCat("no room for ", wanted, " more ", what, ": ",
                                                     table.available(), " free, ", table.leaving(),
                                                     " on their way out"));
  };
  absl::Status s = check("endpoints", endpoints, endpoint_handles_);
  if (s.ok()) s = check("services", services, service_handles_);
  if (s.ok()) s = check("listeners", listeners, listener_handles_);
  return s;
}

absl::StatusOr<std::vector<MapBuilder::Opened>> MapBuilder::OpenNewListeners(
    const api::Snapshot& snapshot) {
  std::vector<Opened> opened;
  for (const api::Listener& listener : snapshot.listeners) {
    const std::string identity = Identity(listener);
    if (listener_handles_.Find(identity).has_value()) continue;
    absl::StatusOr<std::vector<UniqueFd>> sockets = SocketsFor(listener, identity);
    if (sockets.ok()) {
      opened.push_back({identity, *std::move(sockets)});
      continue;
    }
    // Connections may wait in those of the dataplane before: the next try gets them again.
    for (Opened& other : opened) {
      if (inherited_.contains(other.identity)) inherited_[other.identity] = std::move(other.sockets);
    }
    unopened_ = listener.name;
    return absl::Status(sockets.status().code(), absl::StrCat("listener ", listener.name, ": ", sockets.status().message()));
  }
  for (const Opened& taken : opened) inherited_.erase(taken.identity);
  return opened;
}

void MapBuilder::PreparePacket(const api::Snapshot& snapshot) {
  const bool wanted = std::any_of(snapshot.listeners.begin(), snapshot.listeners.end(),
                                  [](const api::Listener& listener) { return listener.delivery == api::Delivery::kPacket; });
  if (wanted && !kernel_delivers_) kernel_delivers_ = prepare_packet_ && prepare_packet_(snapshot).ok();
}

// Connect delivery is of clients of this host: all others come to the workers, or nowhere.
bool MapBuilder::ByWorkers(const api::Listener& listener) const {
  if (listener.protocol == api::Protocol::kUdp) return false;
  if (listener.delivery == api::Delivery::kConnect) return listener.fallback == api::Fallback::kProxy;
  if (listener.delivery != api::Delivery::kPacket) return true;
  return !kernel_delivers_.value_or(false) && listener.fallback == api::Fallback::kProxy;
}

std::string MapBuilder::Identity(const api::Listener& listener) const { return ListenerIdentity(listener, ByWorkers(listener)); }

// A worker without a socket is only idle. UDP has no bound socket that takes nothing: its port is not reserved.
absl::StatusOr<std::vector<UniqueFd>> MapBuilder::NoSockets(const api::Listener& listener, const std::string& identity) {
  if (listener.delivery == api::Delivery::kPacket && listener.protocol != api::Protocol::kUdp && kernel_delivers_.value_or(false)) {
    absl::StatusOr<UniqueFd> port = ReservePort(*ParseBind(listener.bind));
    if (!port.ok()) return port.status();
    reserved_[identity] = *std::move(port);
  }
  return std::vector<UniqueFd>(workers_.size());
}

absl::StatusOr<std::vector<UniqueFd>> MapBuilder::SocketsFor(const api::Listener& listener, const std::string& identity) {
  if (!ByWorkers(listener)) return NoSockets(listener, identity);
  const auto inherited = inherited_.find(identity);
  if (inherited != inherited_.end()) return InheritedSockets(std::exchange(inherited->second, {}), listener);
  if (held_) return absl::UnavailableError("not opened while another process takes the listeners over");
  const IpAddress address = *ParseBind(listener.bind);
  const bool shared = !ListensAt(address) && OthersListen(address);
  absl::StatusOr<std::vector<UniqueFd>> sockets = OpenListenerSockets(address, static_cast<uint32_t>(workers_.size()));
  // SO_REUSEPORT lets us in all the same, and the kernel shares out the connections.
  if (sockets.ok() && shared) {
    spdlog::warn("listener {}: another dataplane of this user listens on {} too and gets a share of the connections; "
                 "unless it is stopping, stop one of them", listener.name, listener.bind);
  }
  return sockets;
}

// A worker more than before gets a socket of its own, beside the others; without one it is only idle.
std::vector<UniqueFd> MapBuilder::InheritedSockets(std::vector<UniqueFd> sockets, const api::Listener& listener) const {
  sockets.resize(std::max(sockets.size(), workers_.size()));
  const auto first = std::find_if(sockets.begin(), sockets.end(), [](const UniqueFd& fd) { return fd.get() >= 0; });
  if (first == sockets.end()) return sockets;
  const IpAddress address = LocalAddress(first->get());
  for (UniqueFd& fd : sockets) {
    if (fd.get() >= 0) continue;
    absl::StatusOr<std::vector<UniqueFd>> more = OpenListenerSockets(address, 1);
    if (more.ok()) {
      fd = std::move(more->front());
    } else {
      spdlog::error("listener {}: a worker without socket: {}", listener.name, std::string(more.status().message()));
    }
  }
  return sockets;
}

void MapBuilder::Inherit(const std::string& identity, uint32_t worker, UniqueFd listening) {
  std::vector<UniqueFd>& sockets = inherited_[identity];
  if (sockets.size() <= worker) sockets.resize(worker + 1);
  sockets[worker] = std::move(listening);
}

bool MapBuilder::ListensAt(const IpAddress& address) const {
  return std::any_of(current_.listeners.begin(), current_.listeners.end(),
                     [&](const auto& entry) { return entry != nullptr && entry->address == address; });
}

void MapBuilder::CommitService(const ServiceChange& change) {
  Places places = CommitEndpoints(change);
  if (change.after == nullptr) return RemoveService(change.before->name);
  const std::string& name = change.after->name;
  const ServiceHandle handle = service_handles_.Take(name);
  directory_.services[name] = handle;
  names_.SetService(handle, name);
  Place(current_.services, handle, MakeService(*change.after, handle, places));
  places_[name] = std::move(places);
}

MapBuilder::Places MapBuilder::CommitEndpoints(const ServiceChange& change) {
  static const Places kNoPlaces;
  const Places& old = change.before == nullptr ? kNoPlaces : places_.at(change.before->name);
  std::vector<bool> stays(old.size());
  Places places;
  places.reserve(change.positions.size());
  for (size_t i = 0; i < change.positions.size(); ++i) {
    const api::Endpoint& endpoint = change.after->endpoints[i];
    const size_t at = change.SameInstance(i);
    if (at == ServiceChange::kNone) {
      places.push_back(Join(*change.after, endpoint));
      continue;
    }
    stays[at] = true;
    places.push_back(old[at]);
    places.back().weight = endpoint.weight;
    if (!change.Same(i)) Record(old[at].handle, change.after->name, endpoint);
  }
  for (size_t i = 0; i < old.size(); ++i) {
    if (!stays[i]) Leave(old[i].handle);
  }
  return places;
}

EndpointEntry MapBuilder::Join(const api::Service& service, const api::Endpoint& endpoint) {
  const EndpointHandle handle = endpoint_handles_.Take(EndpointIdentity(service.name, endpoint));
  Record(handle, service.name, endpoint);
  return {handle, *ParseIp(endpoint.address, endpoint.port), endpoint.weight};
}

void MapBuilder::Record(EndpointHandle handle, const std::string& service, const api::Endpoint& endpoint) {
  directory_.endpoints[handle] = {service, endpoint, false};
  names_.SetEndpoint(handle, endpoint);
  if (endpoint.state == api::EndpointState::kDraining) {
    directory_.ending.insert(handle);
  } else {
    directory_.ending.erase(handle);
  }
}

void MapBuilder::Leave(EndpointHandle handle) {
  endpoint_handles_.Leave(handle, current_.version);
  directory_.endpoints.at(handle).left = true;
  directory_.ending.insert(handle);
}

void MapBuilder::RemoveService(const std::string& name) {
  const ServiceHandle handle = directory_.services.at(name);
  service_handles_.Leave(handle, current_.version);
  current_.services[handle] = nullptr;
  directory_.services.erase(name);
  places_.erase(name);
}

void MapBuilder::CommitListeners(const api::Snapshot& snapshot, std::vector<Opened> opened) {
  std::set<std::string> kept, deferred;
  for (const api::Listener& listener : snapshot.listeners) kept.insert(Identity(listener));
  if (directory_.snapshot != nullptr) {
    for (const api::Listener& listener : directory_.snapshot->listeners) {
      const std::string identity = Identity(listener);
      if (listener.defer_accept) deferred.insert(identity);
      if (kept.contains(identity)) continue;
      const ListenerHandle handle = *listener_handles_.Find(identity);
      // The workers close the sockets now; whoever comes back to this address gets new ones, and another handle.
      listener_handles_.LeaveForGood(handle, current_.version);
      current_.listeners[handle] = nullptr;
      reserved_.erase(identity);
    }
  }
  directory_.listeners.clear();
  for (const api::Listener& listener : snapshot.listeners) {
    const std::string identity = Identity(listener);
    const ListenerHandle handle = listener_handles_.Take(identity);
    ListenerEntry entry = MakeListener(listener, handle);
    const auto fresh = std::find_if(opened.begin(), opened.end(),
                                    [&](const Opened& o) { return o.identity == identity; });
    if (fresh == opened.end()) {
      entry.sockets = current_.listeners[handle]->sockets;
      entry.address = current_.listeners[handle]->address;
    } else {
      for (UniqueFd& fd : fresh->sockets) entry.sockets.push_back(fd.Release());
      if (!entry.sockets.empty() && entry.sockets[0] >= 0) entry.address = LocalAddress(entry.sockets[0]);
      const std::string protocol(api::NameOf(listener.protocol));
      if (ByWorkers(listener)) spdlog::info("listener {} ({}) takes connections at {}", listener.name, protocol, SpellAddress(entry.address));
      else spdlog::info("listener {} ({}) at {} is left to the kernel: delivery {}", listener.name, protocol, listener.bind,
                        std::string(api::NameOf(listener.delivery)));
    }
    if (fresh != opened.end() || deferred.contains(identity) != listener.defer_accept) {
      for (const int fd : entry.sockets) SetDeferAccept(fd, listener.defer_accept);
    }
    directory_.listeners[listener.name] = handle;
    names_.SetListener(handle, listener.name);
    Place(current_.listeners, handle, std::move(entry));
  }
}

void MapBuilder::Sweep(uint64_t map_every_worker_runs) {
  const auto endpoint_quiet = [this](uint32_t handle) {
    return std::all_of(workers_.begin(), workers_.end(), [&](const WorkerShared* worker) {
      const EndpointCounters& c = worker->counters.endpoints[handle];
      return c.exchanges_in_flight.Get() == 0 && c.upstreams_open.Get() == 0 &&
             c.upstreams_idle.Get() == 0;
    });
  };
  endpoint_handles_.Sweep(map_every_worker_runs, endpoint_quiet, [this](uint32_t handle) {
    for (WorkerShared* worker : workers_) Zero(worker->counters.endpoints[handle]);
    directory_.endpoints.erase(handle);
    directory_.ending.erase(handle);
  });
  // An exchange counts for its service to its end: while its endpoint holds it, and while its client still reads.
  std::set<std::string_view> held;
  for (const EndpointHandle handle : directory_.ending) {
    const EndpointRecord& record = directory_.endpoints.at(handle);
    if (record.left) held.insert(record.service);
  }
  const auto service_quiet = [&](uint32_t handle) {
    return !held.contains(service_handles_.IdentityOf(handle)) &&
           std::all_of(workers_.begin(), workers_.end(), [&](const WorkerShared* worker) {
             return worker->counters.services[handle].exchanges_in_flight.Get() == 0;
           });
  };
  service_handles_.Sweep(map_every_worker_runs, service_quiet, [this](uint32_t handle) {
    for (WorkerShared* worker : workers_) Zero(worker->counters.services[handle]);
  });
  const auto listener_quiet = [this](uint32_t handle) {
    return std::all_of(workers_.begin(), workers_.end(), [&](const WorkerShared* worker) {
      return worker->counters.listeners[handle].sessions_open.Get() == 0;
    });
  };
  listener_handles_.Sweep(map_every_worker_runs, listener_quiet, [this](uint32_t handle) {
    for (WorkerShared* worker : workers_) Zero(worker->counters.listeners[handle]);
  });
}

}  // namespace ringway::dp
