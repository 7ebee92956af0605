// What discovery tells the resolver: the instances of one service as a catalog sees them, whichever catalog it is.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ringway::cp {

enum class InstanceHealth : uint8_t { kPassing, kWarning, kCritical, kMaintenance };

struct Instance {
  std::string id;           // "NODE/SERVICE_ID", unique within the service
  uint64_t generation = 0;  // changes when this id is registered anew with another address or port, or after it was gone
  std::string address;      // IP literal; the node's when the service has none
  uint16_t port = 0;
  uint32_t weight = 1;
  std::vector<std::string> tags;
  InstanceHealth health = InstanceHealth::kCritical;  // worst of its checks; no checks: passing
  std::string reason;                                 // output of the worst check, first line
  bool draining = false;                              // asked for by the sidecar or a person
  bool operator==(const Instance&) const = default;
};

// A catalog that can be followed. All calls on the control plane's io_context thread.
class Source {
 public:
  virtual ~Source() = default;
  // The instances now, sorted by id.
  virtual std::vector<Instance> Instances(const std::string& service) const = 0;
  // Called with a service's name after each change of its instances, never inside a call into the source (posted).
  virtual void OnChange(std::function<void(const std::string& service)> callback) = 0;
  // Marks an instance draining (or not). NOT persisted beyond deregistration. False when it is unknown.
  virtual bool SetDraining(const std::string& service, const std::string& instance_id, bool draining) = 0;
};

}  // namespace ringway::cp
