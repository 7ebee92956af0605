// The writes of the model: which rows and which indexes each of them moves. The views are in
// catalog_views.cc.
#include "controlplane/catalog/catalog.h"

#include <algorithm>
#include <utility>

#include "controlplane/catalog/fold.h"

namespace ringway::cp {
namespace {

bool SameNode(const NodeRecord& a, const NodeRecord& b) {
  return a.id == b.id && a.name == b.name && a.address == b.address &&
         a.tagged_addresses == b.tagged_addresses && a.meta == b.meta;
}

bool SameService(const ServiceRecord& a, const ServiceRecord& b) {
  return a.id == b.id && a.name == b.name && a.kind == b.kind && a.tags == b.tags &&
         a.address == b.address && a.tagged_addresses == b.tagged_addresses && a.meta == b.meta &&
         a.port == b.port && a.weights == b.weights &&
         a.enable_tag_override == b.enable_tag_override;
}

bool SameCheck(const CheckRecord& a, const CheckRecord& b) {
  return a.id == b.id && a.name == b.name && a.status == b.status && a.notes == b.notes &&
         a.output == b.output && a.service_id == b.service_id && a.service_name == b.service_name &&
         a.service_tags == b.service_tags && a.type == b.type;
}

}  // namespace

bool Catalog::Register(Registration registration, std::string* error) {
  const std::string key = Fold(registration.node.name);
  const auto known = nodes_.find(key);
  for (const CheckRecord& check : registration.checks) {
    const bool registered_here =
        registration.service && registration.service->id == check.service_id;
    const bool registered_before =
        known != nodes_.end() && known->second.services.contains(check.service_id);
    if (check.service_id.empty() || registered_here || registered_before) continue;
    *error = "Missing service registration";
    return false;
  }
  const uint64_t index = index_ + 1;
  bool changed = false;
  if (known == nodes_.end() || !registration.skip_node_update)
    changed |= EnsureNode(std::move(registration.node), index);
  Node& node = nodes_.at(key);
  if (registration.service) changed |= EnsureService(node, std::move(*registration.service), index);
  for (CheckRecord& check : registration.checks)
    changed |= EnsureCheck(node, std::move(check), index);
  if (changed) index_ = index;
  return changed;
}

bool Catalog::DeregisterNode(std::string_view name) {
  const std::string key = Fold(name);
  const auto found = nodes_.find(key);
  if (found == nodes_.end()) return false;
  Node& node = found->second;
  const uint64_t index = ++index_;
  while (!node.services.empty())
    EraseService(node, std::string(node.services.begin()->first), index);
  while (!node.checks.empty()) EraseCheck(node, std::string(node.checks.begin()->first), index);
  nodes_.erase(found);
  SetIndex("nodes", index);
  dirty_.nodes.insert(key);
  dirty_.instances.insert({key, ""});
  touched_.insert({"nodes", "node/" + key});
  return true;
}

bool Catalog::DeregisterService(std::string_view name, const std::string& id) {
  const auto found = nodes_.find(Fold(name));
  if (found == nodes_.end() || !found->second.services.contains(id)) return false;
  const std::string copy = id;  // `id` may live in the row that goes
  EraseService(found->second, copy, ++index_);
  return true;
}

bool Catalog::DeregisterCheck(std::string_view name, const std::string& id) {
  const auto found = nodes_.find(Fold(name));
  if (found == nodes_.end() || !found->second.checks.contains(id)) return false;
  const std::string copy = id;
  EraseCheck(found->second, copy, ++index_);
  return true;
}

bool Catalog::UpdateCheck(std::string_view name, CheckRecord check) {
  const auto found = nodes_.find(Fold(name));
  if (found == nodes_.end()) return false;
  if (!check.service_id.empty() && !found->second.services.contains(check.service_id)) return false;
  const uint64_t index = index_ + 1;
  const bool changed = EnsureCheck(found->second, std::move(check), index);
  if (changed) index_ = index;
  return changed;
}

void Catalog::SetFreshOutput(std::string_view name, const std::string& id,
                             const std::string& output) {
  const std::string key = Fold(name);
  CheckRecord& check = nodes_.at(key).checks.at(id);
  if (check.fresh_output == output) return;
  check.fresh_output = output;
  dirty_.checks.insert({key, id});
  dirty_.instances.insert({key, check.service_id});
}

void Catalog::SetSpec(std::string_view name, const std::string& id, const CheckSpec& spec) {
  const std::string key = Fold(name);
  CheckRecord& check = nodes_.at(key).checks.at(id);
  if (check.spec == spec) return;
  check.spec = spec;
  dirty_.checks.insert({key, id});
}

bool Catalog::SetDraining(std::string_view name, const std::string& id, bool draining) {
  const std::string key = Fold(name);
  const auto node = nodes_.find(key);
  if (node == nodes_.end()) return false;
  const auto service = node->second.services.find(id);
  if (service == node->second.services.end()) return false;
  if (std::exchange(service->second.draining, draining) != draining)
    MarkService(key, id);
  return true;
}

bool Catalog::EnsureNode(NodeRecord record, uint64_t index) {
  const std::string key = Fold(record.name);
  Node& node = nodes_[key];
  const bool created = node.record.create_index == 0;
  if (!created && SameNode(node.record, record)) return false;
  const bool moved = node.record.address != record.address;
  record.create_index = created ? index : node.record.create_index;
  record.modify_index = index;
  node.record = std::move(record);
  SetIndex("nodes", index);
  BumpServicesOf(node, index);  // health views show the node
  dirty_.nodes.insert(key);
  dirty_.instances.insert({key, ""});
  touched_.insert({"nodes", "node/" + key});
  for (auto& [id, service] : node.services) {
    if (!moved || !service.address.empty()) continue;
    service.generation = index;
    service.draining = false;
    MarkService(key, id);
  }
  return true;
}

bool Catalog::EnsureService(Node& node, ServiceRecord service, uint64_t index) {
  const std::string node_key = Fold(node.record.name);
  const std::string key = Fold(service.name);
  const auto found = node.services.find(service.id);
  service.create_index = service.modify_index = service.generation = index;
  if (found != node.services.end()) {
    const ServiceRecord& old = found->second;
    if (SameService(old, service)) return false;
    service.create_index = old.create_index;
    if (old.address == service.address && old.port == service.port) {
      service.generation = old.generation;
      service.draining = old.draining;
    }
    const std::string old_key = Fold(old.name);
    if (old_key != key) ServiceLost(old_key, node_key, service.id, index);
  }
  const std::string id = service.id;
  node.services[id] = std::move(service);
  by_name_[key].insert({node_key, id});
  SetIndex("services", index);
  SetIndex("service." + key, index);
  MarkService(node_key, id);
  touched_.insert({"services", "service/" + key, "index/" + key, "node-services/" + node_key});
  return true;
}

bool Catalog::EnsureCheck(Node& node, CheckRecord check, uint64_t index) {
  if (!check.service_id.empty()) {
    const ServiceRecord& service = node.services.at(check.service_id);
    check.service_name = service.name;
    check.service_tags = service.tags;
  }
  const auto found = node.checks.find(check.id);
  check.create_index = check.modify_index = index;
  const std::string node_key = Fold(node.record.name);
  if (found != node.checks.end()) {
    CheckRecord& old = found->second;
    if (SameCheck(old, check)) {
      check.create_index = old.create_index;
      check.modify_index = old.modify_index;
      if (old.spec != check.spec || old.fresh_output != check.fresh_output) {
        dirty_.checks.insert({node_key, check.id});
        dirty_.instances.insert({node_key, check.service_id});
      }
      old = std::move(check);
      return false;
    }
    check.create_index = old.create_index;
    TouchCheck(node, old);  // whoever watched it under its old status or service
    Detach(node, old);
  }
  if (check.service_id.empty()) {
    BumpServicesOf(node, index);
  } else {
    SetIndex("service." + Fold(check.service_name), index);
    touched_.insert("index/" + Fold(check.service_name));
  }
  SetIndex("checks", index);
  TouchCheck(node, check);
  dirty_.checks.insert({node_key, check.id});
  const std::string id = check.id;
  node.checks_of[check.service_id].insert(id);
  node.checks[id] = std::move(check);
  return true;
}

void Catalog::Detach(Node& node, const CheckRecord& check) {
  const auto group = node.checks_of.find(check.service_id);
  group->second.erase(check.id);
  if (group->second.empty()) node.checks_of.erase(group);
}

void Catalog::EraseService(Node& node, const std::string& id, uint64_t index) {
  if (const auto group = node.checks_of.find(id); group != node.checks_of.end()) {
    const std::set<std::string> checks = group->second;
    for (const std::string& check : checks) EraseCheck(node, check, index);
  }
  const std::string node_key = Fold(node.record.name);
  ServiceLost(Fold(node.services.at(id).name), node_key, id, index);
  node.services.erase(id);
  SetIndex("services", index);
  MarkService(node_key, id);
  touched_.insert({"services", "node-services/" + node_key});
}

void Catalog::EraseCheck(Node& node, const std::string& id, uint64_t index) {
  const CheckRecord& check = node.checks.at(id);
  if (check.service_id.empty()) {
    BumpServicesOf(node, index);
    SetIndex("services",
             index);  // as Consul does for checks of nodes: a fresh read shows it, nobody wakes
  } else {
    SetIndex("service." + Fold(check.service_name), index);
    touched_.insert("index/" + Fold(check.service_name));
  }
  SetIndex("checks", index);
  TouchCheck(node, check);
  dirty_.checks.insert({Fold(node.record.name), id});
  Detach(node, check);
  node.checks.erase(id);
}

void Catalog::ServiceLost(const std::string& key, const std::string& node_key,
                          const std::string& id, uint64_t index) {
  auto& instances = by_name_[key];
  instances.erase({node_key, id});
  touched_.insert({"service/" + key, "index/" + key});
  if (!instances.empty()) {
    SetIndex("service." + key, index);
    return;
  }
  by_name_.erase(key);
  indexes_.erase("service." + key);
  dirty_.indexes.insert("service." + key);
  SetIndex("extinction", index);
  touched_.insert("extinction");
}

void Catalog::BumpServicesOf(const Node& node, uint64_t index) {
  for (const auto& [id, service] : node.services) {
    SetIndex("service." + Fold(service.name), index);
    touched_.insert("index/" + Fold(service.name));
  }
}

void Catalog::SetIndex(const std::string& name, uint64_t index) {
  indexes_[name] = index;
  dirty_.indexes.insert(name);
}

void Catalog::MarkService(const std::string& node_key, const std::string& id) {
  dirty_.services.insert({node_key, id});
  dirty_.instances.insert({node_key, id});
}

void Catalog::TouchCheck(const Node& node, const CheckRecord& check) {
  dirty_.instances.insert({Fold(node.record.name), check.service_id});
  touched_.insert(
      {"checks", "check-node/" + Fold(node.record.name), "check-status/" + check.status});
  if (!check.service_id.empty()) touched_.insert("check-service/" + Fold(check.service_name));
}

void Catalog::Restore(uint64_t index, std::map<std::string, uint64_t> indexes,
                      std::vector<Node> nodes) {
  index_ = index;
  indexes_ = std::move(indexes);
  for (Node& node : nodes) {
    const std::string key = Fold(node.record.name);
    for (const auto& [id, service] : node.services) by_name_[Fold(service.name)].insert({key, id});
    for (const auto& [id, check] : node.checks) node.checks_of[check.service_id].insert(id);
    nodes_[key] = std::move(node);
  }
}

}  // namespace ringway::cp
