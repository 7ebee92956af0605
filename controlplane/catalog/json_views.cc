// Consul's documents out of the model; see json_views.h. Facts about null, [] and missing keys:
// consul.md section 2.
#include "controlplane/catalog/json_views.h"

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "absl/strings/str_format.h"
#include "controlplane/catalog/fold.h"
#include "controlplane/catalog/go_print.h"

namespace ringway::cp {
namespace {

namespace json = boost::json;

json::value StringMap(const std::map<std::string, std::string>& map, json::value if_empty) {
  if (map.empty()) return if_empty;
  json::object out;
  for (const auto& [key, value] : map) out[key] = value;
  return out;
}

json::array Strings(const std::vector<std::string>& list) {
  return json::array(list.begin(), list.end());
}

json::object TaggedJson(const std::map<std::string, TaggedAddress>& map) {
  json::object out;
  for (const auto& [key, value] : map)
    out[key] = {{"Address", value.address}, {"Port", value.port}};
  return out;
}

json::object WeightsJson(const Weights& weights) {
  return {{"Passing", weights.passing}, {"Warning", weights.warning}};
}

json::object ProxyJson() { return {{"MeshGateway", json::object()}, {"Expose", json::object()}}; }

json::object NodeRecordJson(const NodeRecord& node, const std::string& datacenter) {
  return {{"ID", node.id},
          {"Node", node.name},
          {"Address", node.address},
          {"Datacenter", datacenter},
          {"TaggedAddresses", StringMap(node.tagged_addresses, nullptr)},
          {"Meta", StringMap(node.meta, nullptr)},
          {"CreateIndex", node.create_index},
          {"ModifyIndex", node.modify_index}};
}

// structs.NodeService, as health and catalog/node show it.
json::object NodeServiceJson(const ServiceRecord& service) {
  json::object out;
  if (!service.kind.empty()) out["Kind"] = service.kind;
  out["ID"] = service.id;
  out["Service"] = service.name;
  out["Tags"] = Strings(service.tags);
  out["Address"] = service.address;
  if (!service.tagged_addresses.empty())
    out["TaggedAddresses"] = TaggedJson(service.tagged_addresses);
  out["Meta"] = StringMap(service.meta, nullptr);
  out["Port"] = service.port;
  out["Weights"] = WeightsJson(service.weights);
  out["EnableTagOverride"] = service.enable_tag_override;
  out["Proxy"] = ProxyJson();
  out["Connect"] = json::object();
  out["CreateIndex"] = service.create_index;
  out["ModifyIndex"] = service.modify_index;
  return out;
}

// structs.ServiceNode, flat, as catalog/service shows it.
json::object ServiceNodeJson(const NodeRecord& node, const ServiceRecord& service,
                             const std::string& datacenter) {
  json::object out{{"ID", node.id},
                   {"Node", node.name},
                   {"Address", node.address},
                   {"Datacenter", datacenter},
                   {"TaggedAddresses", StringMap(node.tagged_addresses, nullptr)},
                   {"NodeMeta", StringMap(node.meta, nullptr)},
                   {"ServiceKind", service.kind},
                   {"ServiceID", service.id},
                   {"ServiceName", service.name},
                   {"ServiceTags", Strings(service.tags)},
                   {"ServiceAddress", service.address}};
  if (!service.tagged_addresses.empty())
    out["ServiceTaggedAddresses"] = TaggedJson(service.tagged_addresses);
  out["ServiceWeights"] = WeightsJson(service.weights);
  out["ServiceMeta"] = StringMap(service.meta, json::object());
  out["ServicePort"] = service.port;
  out["ServiceEnableTagOverride"] = service.enable_tag_override;
  out["ServiceProxy"] = ProxyJson();
  out["ServiceConnect"] = json::object();
  out["CreateIndex"] = service.create_index;
  out["ModifyIndex"] = service.modify_index;
  return out;
}

json::object CheckJson(const Catalog::Node& node, const CheckRecord& check, bool agent_view) {
  return {{"Node", node.record.name},
          {"CheckID", check.id},
          {"Name", check.name},
          {"Status", check.status},
          {"Notes", check.notes},
          {"Output", agent_view ? check.fresh_output : check.output},
          {"ServiceID", check.service_id},
          {"ServiceName", check.service_name},
          {"ServiceTags", Strings(check.service_tags)},
          {"Type", check.type},
          {"Definition", json::object()},
          {"CreateIndex", agent_view ? 0 : check.create_index},
          {"ModifyIndex", agent_view ? 0 : check.modify_index}};
}

bool NodeMatches(const NodeRecord& node, const InstanceFilter& filter) {
  return std::all_of(filter.node_meta.begin(), filter.node_meta.end(), [&](const auto& wanted) {
    const auto found = node.meta.find(wanted.first);
    return found != node.meta.end() && found->second == wanted.second;
  });
}

bool TagsMatch(const ServiceRecord& service, const InstanceFilter& filter) {
  return std::all_of(filter.tags.begin(), filter.tags.end(), [&](const std::string& wanted) {
    return std::any_of(
        service.tags.begin(), service.tags.end(),
        [folded = Fold(wanted)](const std::string& tag) { return Fold(tag) == folded; });
  });
}

}  // namespace

json::value HealthServiceJson(const ViewSource& source, std::string_view service,
                              const InstanceFilter& filter) {
  json::array out;
  for (const auto& [node, record] : source.catalog.InstancesOf(service)) {
    if (!NodeMatches(node->record, filter) || !TagsMatch(*record, filter)) continue;
    json::array checks;
    bool passing = true;
    for (const CheckRecord* check : Catalog::ChecksOf(*node, record->id)) {
      passing &= check->status == kStatusPassing;
      checks.push_back(CheckJson(*node, *check, false));
    }
    if (filter.passing && !passing) continue;
    out.push_back({{"Node", NodeRecordJson(node->record, source.datacenter)},
                   {"Service", NodeServiceJson(*record)},
                   {"Checks", std::move(checks)}});
  }
  return out;
}

json::value CatalogServiceJson(const ViewSource& source, std::string_view service,
                               const InstanceFilter& filter) {
  json::array out;
  for (const auto& [node, record] : source.catalog.InstancesOf(service)) {
    if (!NodeMatches(node->record, filter) || !TagsMatch(*record, filter)) continue;
    out.push_back(ServiceNodeJson(node->record, *record, source.datacenter));
  }
  return out;
}

json::value ServicesJson(const ViewSource& source, const InstanceFilter& filter) {
  std::map<std::string, std::set<std::string>> tags;  // by the name as stored
  for (const auto& [key, node] : source.catalog.nodes()) {
    if (!NodeMatches(node.record, filter)) continue;
    for (const auto& [id, service] : node.services)
      tags[service.name].insert(service.tags.begin(), service.tags.end());
  }
  json::object out;
  for (const auto& [name, list] : tags) out[name] = json::array(list.begin(), list.end());
  return out;
}

json::value NodesJson(const ViewSource& source, const InstanceFilter& filter) {
  json::array out;
  for (const auto& [key, node] : source.catalog.nodes()) {
    if (NodeMatches(node.record, filter))
      out.push_back(NodeRecordJson(node.record, source.datacenter));
  }
  return out;
}

json::value NodeJson(const ViewSource& source, std::string_view name, bool list) {
  const Catalog::Node* node = source.catalog.FindNode(name);
  if (node == nullptr)
    return list ? json::value{{"Node", nullptr}, {"Services", nullptr}} : json::value(nullptr);
  json::object by_id;
  json::array in_order;
  for (const auto& [id, service] : node->services) {
    if (list) {
      in_order.push_back(NodeServiceJson(service));
    } else {
      by_id[id] = NodeServiceJson(service);
    }
  }
  json::value services =
      list ? (in_order.empty() ? json::value(nullptr) : json::value(std::move(in_order)))
           : json::value(std::move(by_id));
  return {{"Node", NodeRecordJson(node->record, source.datacenter)},
          {"Services", std::move(services)}};
}

json::value ServiceChecksJson(const ViewSource& source, std::string_view service) {
  json::array out;
  const std::string wanted = Fold(service);
  for (const auto& [key, node] : source.catalog.nodes()) {
    for (const auto& [id, check] : node.checks) {
      if (!check.service_id.empty() && Fold(check.service_name) == wanted)
        out.push_back(CheckJson(node, check, false));
    }
  }
  return out;
}

json::value NodeChecksJson(const ViewSource& source, std::string_view name) {
  json::array out;
  const Catalog::Node* node = source.catalog.FindNode(name);
  if (node == nullptr) return out;
  for (const auto& [id, check] : node->checks) out.push_back(CheckJson(*node, check, false));
  return out;
}

json::value StateJson(const ViewSource& source, std::string_view state) {
  json::array out;
  for (const auto& [key, node] : source.catalog.nodes()) {
    for (const auto& [id, check] : node.checks) {
      if (state == "any" || check.status == state) out.push_back(CheckJson(node, check, false));
    }
  }
  return out;
}

json::value AgentServiceJson(const ServiceRecord& service) {
  json::object out;
  if (!service.kind.empty()) out["Kind"] = service.kind;
  out["ID"] = service.id;
  out["Service"] = service.name;
  out["Tags"] = Strings(service.tags);
  out["Meta"] = StringMap(service.meta, json::object());
  out["Port"] = service.port;
  out["Address"] = service.address;
  if (!service.tagged_addresses.empty())
    out["TaggedAddresses"] = TaggedJson(service.tagged_addresses);
  out["Weights"] = WeightsJson(service.weights);
  out["EnableTagOverride"] = service.enable_tag_override;
  return out;
}

json::value AgentServicesJson(const Catalog::Node& node) {
  json::object out;
  for (const auto& [id, service] : node.services) {
    if (id != "consul")
      out[id] = AgentServiceJson(service);  // the server's own, unknown to the agent
  }
  return out;
}

json::value AgentChecksJson(const Catalog::Node& node) {
  json::object out;
  for (const auto& [id, check] : node.checks) {
    if (id != "serfHealth") out[id] = CheckJson(node, check, true);
  }
  return out;
}

std::string ContentHash(const ServiceRecord& service) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : PrintJson(AgentServiceJson(service), false))
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return absl::StrFormat("%016x", hash);
}

}  // namespace ringway::cp
