// Pushed snapshot in, immutable BackendMap out. Gives endpoints, services and listeners their handles, opens the listening
// sockets of new listeners, and shares what did not change with the map before, so that an update costs the workers what
// changed. A snapshot that cannot be taken whole leaves everything as it was. Main thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "common/api/feed.h"
#include "dataplane/core/worker_shared.h"
#include "dataplane/feed/directory.h"
#include "dataplane/feed/handle_names.h"
#include "dataplane/feed/handle_table.h"
#include "dataplane/feed/listener_sockets.h"
#include "dataplane/feed/snapshot_diff.h"

namespace ringway::dp {

class MapBuilder {
 public:
  explicit MapBuilder(std::vector<WorkerShared*> workers);

  // InvalidArgument: the snapshot is wrong in itself. Unavailable or ResourceExhausted: an address cannot be bound or no handle
  // is free now, a later try may succeed. The map's version is a sequence number of this process, not the snapshot's.
  absl::StatusOr<std::unique_ptr<const BackendMap>> Build(std::shared_ptr<const api::Snapshot> snapshot);

  // Asked with the first snapshot that has a listener of packet delivery, before anything of it is taken: OK when the kernel
  // can deliver. Else, and without this, such listeners fall back as they say, until this process ends.
  void SetPacketDelivery(std::function<absl::Status(const api::Snapshot&)> prepare) { prepare_packet_ = std::move(prepare); }

  // While true no listener is opened (Unavailable): a successor is taking the sockets over and would not know of it.
  void HoldListeners(bool hold) { held_ = hold; }

  // A listening socket from the dataplane before this one, for the listener of this identity (identity.h) and this worker: used in
  // place of a new one. An SO_REUSEPORT group loses what waits in a socket nobody accepts from, so each needs its worker.
  void Inherit(const std::string& identity, uint32_t worker, UniqueFd listening);
  // Closes what no listener has asked for.
  void DropInherited() { inherited_.clear(); }

  // The listener because of which the last Build was Unavailable; empty when it was for another reason.
  const std::string& unopened() const { return unopened_; }

  // Frees handles that every worker has let go of and sets their counters to zero. Call about once a second.
  void Sweep(uint64_t map_every_worker_runs);

  const Directory& directory() const { return directory_; }
  const HandleNames& names() const { return names_; }
  const BackendMap& current() const { return current_; }

 private:
  struct Opened {
    std::string identity;
    std::vector<UniqueFd> sockets;
  };

  // A service's endpoints as entries, one for each in the order of the snapshot, ready or not.
  using Places = std::vector<EndpointEntry>;

  absl::Status CheckRoom(const api::Snapshot& snapshot, const std::vector<ServiceChange>& changes) const;
  absl::StatusOr<std::vector<Opened>> OpenNewListeners(const api::Snapshot& snapshot);
  void PreparePacket(const api::Snapshot& snapshot);
  bool ByWorkers(const api::Listener& listener) const;
  std::string Identity(const api::Listener& listener) const;
  absl::StatusOr<std::vector<UniqueFd>> SocketsFor(const api::Listener& listener, const std::string& identity);
  absl::StatusOr<std::vector<UniqueFd>> NoSockets(const api::Listener& listener, const std::string& identity);
  std::vector<UniqueFd> InheritedSockets(std::vector<UniqueFd> sockets, const api::Listener& listener) const;
  bool ListensAt(const IpAddress& address) const;
  void CommitService(const ServiceChange& change);
  Places CommitEndpoints(const ServiceChange& change);
  EndpointEntry Join(const api::Service& service, const api::Endpoint& endpoint);
  void Record(EndpointHandle handle, const std::string& service, const api::Endpoint& endpoint);
  void Leave(EndpointHandle handle);
  void RemoveService(const std::string& name);
  void CommitListeners(const api::Snapshot& snapshot, std::vector<Opened> opened);
  ServiceEntry MakeService(const api::Service& service, ServiceHandle handle, const Places& places) const;
  ListenerEntry MakeListener(const api::Listener& listener, ListenerHandle handle) const;

  const std::vector<WorkerShared*> workers_;
  HandleTable endpoint_handles_{kEndpointsMax};
  HandleTable service_handles_{kServicesMax};
  HandleTable listener_handles_{kListenersMax};
  Directory directory_;
  HandleNames names_;
  absl::flat_hash_map<std::string, Places> places_;  // by service
  BackendMap current_;
  bool held_ = false;
  std::map<std::string, std::vector<UniqueFd>> inherited_;  // by identity; index: the worker
  std::string unopened_;
  std::function<absl::Status(const api::Snapshot&)> prepare_packet_;
  std::optional<bool> kernel_delivers_;  // decided once: what a listener is does not change under it
  std::map<std::string, UniqueFd> reserved_;  // ports of listeners that the kernel delivers, by identity
};

}  // namespace ringway::dp
