// The catalog's model: nodes, services and checks under one monotonic index, with Consul's rules
// about which index a view carries and which change wakes whom (Consul 1.8 state store;
// docs/reference/catalog_api.md, "Blocking queries"). Pure: no I/O, no clock. Bounded by what is
// registered.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/catalog/records.h"

namespace ringway::cp {

// What one catalog write registers. A service that exists with the same content moves nothing; so
// do checks and the node.
struct Registration {
  NodeRecord node;
  bool skip_node_update = false;  // leave an existing node's record as it is
  std::optional<ServiceRecord> service;
  std::vector<CheckRecord> checks;
};

// The index a view carries, and the keys whose touch may make a blocked reader look again. It
// answers when its index has grown beyond the reader's. `index` is never 0.
struct View {
  uint64_t index = 1;
  std::vector<std::string> watch;
};

// Rows and named indexes changed since the store last asked.
struct Dirty {
  std::set<std::string> nodes;                             // folded names
  std::set<std::pair<std::string, std::string>> services;  // folded node name, id
  std::set<std::pair<std::string, std::string>> checks;
  std::set<std::string> indexes;
  // Not for the store: folded node name and service id of what looks different to discovery now; with the id "" the whole node.
  std::set<std::pair<std::string, std::string>> instances;
  bool empty() const {
    return nodes.empty() && services.empty() && checks.empty() && indexes.empty();
  }
  void Merge(Dirty&& other) {
    nodes.merge(other.nodes);
    services.merge(other.services);
    checks.merge(other.checks);
    indexes.merge(other.indexes);
  }
};

class Catalog {
 public:
  struct Node {
    NodeRecord record;
    std::map<std::string, ServiceRecord> services;  // by id
    std::map<std::string, CheckRecord> checks;      // by id
    // Service id -> ids of its checks; those of the node itself under "". Kept by Catalog.
    std::map<std::string, std::set<std::string>, std::less<>> checks_of;
  };
  using Instance = std::pair<const Node*, const ServiceRecord*>;

  // Writes. Each uses at most one index; false when nothing changed.
  // Checks whose service_id the node does not have are refused before anything is changed: `error`
  // says which.
  bool Register(Registration registration, std::string* error);
  bool DeregisterNode(std::string_view node);
  bool DeregisterService(std::string_view node, const std::string& id);
  bool DeregisterCheck(std::string_view node, const std::string& id);
  // Puts a check of a known node as it stands in `check`, indexes aside. False when unchanged or
  // unknown.
  bool UpdateCheck(std::string_view node, CheckRecord check);
  // The agent's own knowledge: stored, but part of no view, so no index moves.
  void SetFreshOutput(std::string_view node, const std::string& id, const std::string& output);
  void SetSpec(std::string_view node, const std::string& id, const CheckSpec& spec);
  // Ringway's own mark, stored with the service: no index moves. False when it is unknown.
  bool SetDraining(std::string_view node, const std::string& id, bool draining);

  // Reads. Nodes come sorted by folded name, instances by node then service id.
  uint64_t index() const { return index_; }
  const std::map<std::string, Node>& nodes() const { return nodes_; }
  const Node* FindNode(std::string_view name) const;
  std::vector<Instance> InstancesOf(std::string_view service) const;
  // The checks that decide about a service: the node's own, then the service's, by check id.
  static std::vector<const CheckRecord*> ChecksOf(const Node& node, std::string_view service_id);
  // Folded name -> every instance of it.
  const std::map<std::string, std::set<std::pair<std::string, std::string>>>& services() const {
    return by_name_;
  }

  View NodesView() const;
  View NodeView(std::string_view node) const;
  View ServicesView() const;
  View CatalogServiceView(std::string_view service) const;
  View HealthServiceView(std::string_view service) const;
  View ServiceChecksView(std::string_view service) const;
  View NodeChecksView(std::string_view node) const;
  View StateView(std::string_view state) const;

  // Keys touched since the last call: what readers wait for. "index/<folded service>" is among them
  // whenever the health view of that service may have changed.
  std::set<std::string> TakeTouched() { return std::exchange(touched_, {}); }
  const Dirty& dirty() const { return dirty_; }
  Dirty TakeDirty() { return std::exchange(dirty_, {}); }
  const std::map<std::string, uint64_t>& named_indexes() const { return indexes_; }

  // For the store, before any write: rows as they were.
  void Restore(uint64_t index, std::map<std::string, uint64_t> indexes, std::vector<Node> nodes);

 private:
  bool EnsureNode(NodeRecord node, uint64_t index);
  bool EnsureService(Node& node, ServiceRecord service, uint64_t index);
  bool EnsureCheck(Node& node, CheckRecord check, uint64_t index);
  void EraseService(Node& node, const std::string& id, uint64_t index);
  void EraseCheck(Node& node, const std::string& id, uint64_t index);
  static void Detach(Node& node, const CheckRecord& check);
  // A name lost its instance: its index grows, or dies and leaves the extinction index behind.
  void ServiceLost(const std::string& key, const std::string& node_key, const std::string& id,
                   uint64_t index);
  void BumpServicesOf(const Node& node, uint64_t index);
  void SetIndex(const std::string& name, uint64_t index);
  void MarkService(const std::string& node_key, const std::string& id);
  void TouchCheck(const Node& node, const CheckRecord& check);
  uint64_t MaxIndex(std::initializer_list<std::string_view> names) const;
  uint64_t ServiceIndex(const std::string& key, bool exists, bool checks) const;

  uint64_t index_ = 1;
  std::map<std::string, uint64_t>
      indexes_;  // "nodes", "services", "checks", "extinction", "service.<folded name>"
  std::map<std::string, Node> nodes_;  // by folded name
  std::map<std::string, std::set<std::pair<std::string, std::string>>> by_name_;
  std::set<std::string> touched_;
  Dirty dirty_;
};

}  // namespace ringway::cp
