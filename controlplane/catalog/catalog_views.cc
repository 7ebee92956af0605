// The reads of the model: what each view shows, which index it carries, and what wakes its readers.
#include <algorithm>

#include "controlplane/catalog/catalog.h"
#include "controlplane/catalog/fold.h"

namespace ringway::cp {

const Catalog::Node* Catalog::FindNode(std::string_view name) const {
  const auto found = nodes_.find(Fold(name));
  return found == nodes_.end() ? nullptr : &found->second;
}

std::vector<Catalog::Instance> Catalog::InstancesOf(std::string_view service) const {
  std::vector<Instance> instances;
  const auto found = by_name_.find(Fold(service));
  if (found == by_name_.end()) return instances;
  for (const auto& [node_key, id] : found->second) {
    const Node& node = nodes_.at(node_key);
    instances.emplace_back(&node, &node.services.at(id));
  }
  return instances;
}

std::vector<const CheckRecord*> Catalog::ChecksOf(const Node& node, std::string_view service_id) {
  std::vector<const CheckRecord*> checks;
  for (const std::string_view owner : {std::string_view(), service_id}) {
    const auto group = node.checks_of.find(owner);
    if (group == node.checks_of.end()) continue;
    for (const std::string& id : group->second) checks.push_back(&node.checks.at(id));
  }
  return checks;
}

uint64_t Catalog::MaxIndex(std::initializer_list<std::string_view> names) const {
  uint64_t index = 1;
  for (const std::string_view name : names) {
    const auto found = indexes_.find(std::string(name));
    if (found != indexes_.end()) index = std::max(index, found->second);
  }
  return index;
}

// A service that is not there carries the extinction index; before any extinction, that of the
// tables.
uint64_t Catalog::ServiceIndex(const std::string& key, bool exists, bool checks) const {
  if (!exists && indexes_.contains("extinction")) return MaxIndex({"extinction"});
  if (indexes_.contains("service." + key)) return MaxIndex({"service." + key});
  return checks ? MaxIndex({"nodes", "services", "checks"}) : MaxIndex({"nodes", "services"});
}

View Catalog::NodesView() const { return {MaxIndex({"nodes"}), {"nodes"}}; }

View Catalog::NodeView(std::string_view name) const {
  const std::string key = Fold(name);
  if (!nodes_.contains(key)) return {1, {"node/" + key}};
  return {MaxIndex({"nodes", "services"}), {"node/" + key, "node-services/" + key}};
}

View Catalog::ServicesView() const { return {MaxIndex({"services"}), {"services"}}; }

View Catalog::CatalogServiceView(std::string_view name) const {
  const std::string key = Fold(name);
  const std::vector<Instance> instances = InstancesOf(name);
  View view{ServiceIndex(key, !instances.empty(), false), {"service/" + key}};
  for (const auto& [node, service] : instances)
    view.watch.push_back("node/" + Fold(node->record.name));
  if (!instances.empty()) return view;
  view.watch.push_back("extinction");
  if (!indexes_.contains("extinction")) view.watch.push_back("services");
  return view;
}

View Catalog::HealthServiceView(std::string_view name) const {
  const std::string key = Fold(name);
  const bool exists = by_name_.contains(key);
  View view{ServiceIndex(key, exists, true), {"service/" + key, "index/" + key}};
  if (exists) return view;
  view.watch.push_back("extinction");
  if (!indexes_.contains("extinction")) view.watch.push_back("services");
  return view;
}

View Catalog::ServiceChecksView(std::string_view name) const {
  return {MaxIndex({"checks"}), {"check-service/" + Fold(name)}};
}

View Catalog::NodeChecksView(std::string_view name) const {
  return {MaxIndex({"checks"}), {"check-node/" + Fold(name)}};
}

View Catalog::StateView(std::string_view state) const {
  if (state == "any") return {MaxIndex({"checks"}), {"checks"}};
  return {MaxIndex({"checks"}), {"check-status/" + std::string(state)}};
}

}  // namespace ringway::cp
