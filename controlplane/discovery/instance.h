// What discovery tells the resolver: the instances of one service as a catalog sees them, whichever catalog it is.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ringway::cp {

enum class InstanceHealth : uint8_t { kPassing, kWarning, kCritical, kMaintenance };

struct Instance {
  std::string id;           // "NODE/SERVICE_ID", unique within the service
  uint64_t generation = 0;  // changes when this id is registered anew with another address or port, or after it was gone
  uint64_t registered_index = 0;  // grows with each registration in one catalog: of two that claim one address the newest wins
  std::string address;      // IP literal; the node's when the service has none
  uint16_t port = 0;
  uint32_t weight = 1;
  std::vector<std::string> tags;
  InstanceHealth health = InstanceHealth::kCritical;  // worst of its checks; no checks: passing
  std::string reason;                                 // output of the worst check, first line
  bool draining = false;                              // asked for by the sidecar or a person
  bool operator==(const Instance&) const = default;
};

// How a catalog is, for status, metrics and the log.
struct CatalogState {
  std::string name;   // "embedded", or the address of the Consul in use
  bool ok = true;     // answers, and every watch follows it
  std::chrono::system_clock::time_point good_at;  // when it was last known to answer; now while ok
  std::string error;  // why not ok, in words
};

// A catalog that can be followed. All calls on the control plane's io_context thread.
class Source {
 public:
  virtual ~Source() = default;
  // The instances now, sorted by id. A catalog that is far away begins to follow the service with the first call.
  virtual std::vector<Instance> Instances(const std::string& service) const = 0;
  // The same at the cost of what changed, where the catalog can: calls `sink` for each instance that may have changed since the
  // last call of this or of Instances(), null when it is not in the service (any more). False: ask Instances(), whatever the sink
  // was told.
  using ChangeSink = std::function<void(const std::string& id, const Instance* now)>;
  virtual bool TakeChanges(const std::string& /*service*/, const ChangeSink& /*sink*/) { return false; }
  // Nobody routes to this service any more: a far catalog stops following it.
  virtual void Forget(const std::string&) {}
  // Has the catalog answered for this service since the start? Until it has, the resolver goes on with what was known before a
  // restart; the first answer is a change, also when it names no instance.
  virtual bool Knows(const std::string& /*service*/) const { return true; }
  // Called with a service's name after each change of its instances, never inside a call into the source (posted).
  virtual void OnChange(std::function<void(const std::string& service)> callback) = 0;
  // Marks an instance draining (or not). NOT persisted beyond deregistration. False when it is unknown.
  virtual bool SetDraining(const std::string& service, const std::string& instance_id, bool draining) = 0;
  // Did this instance, which is not among Instances() any more, leave of its own accord (deregistered or drained)? False
  // when it merely vanished (its lease ended, the catalog lost it): the resolver then doubts an answer that empties a pool.
  virtual bool LeftByItself(const std::string& service, const std::string& instance_id) const = 0;
  virtual CatalogState State() const = 0;
};

}  // namespace ringway::cp
