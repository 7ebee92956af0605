// Consul 1.8.7's version and protocol numbers, because clients choose their behaviour by them;
// "build" says who it is.
#include "controlplane/catalog/agent_documents.h"

#include <algorithm>
#include <boost/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"

namespace ringway::cp {
namespace {

namespace json = boost::json;
constexpr char kVersion[] = "1.8.7";

json::object MemberJson(const EmbeddedCatalog& catalog) {
  return {{"Name", catalog.options().node_name},
          {"Addr", catalog.options().node_address},
          {"Port", 8301},
          {"Tags",
           {{"acls", "0"},
            {"build", absl::StrCat(kVersion, ":ringway-" RINGWAY_VERSION)},
            {"dc", catalog.options().datacenter},
            {"id", catalog.node_id()},
            {"port", "8300"},
            {"raft_vsn", "3"},
            {"role", "consul"},
            {"segment", ""},
            {"vsn", "2"},
            {"vsn_max", "3"},
            {"vsn_min", "2"},
            {"wan_join_port", "8302"}}},
          {"Status", 1},
          {"ProtocolMin", 1},
          {"ProtocolMax", 5},
          {"ProtocolCur", 2},
          {"DelegateMin", 2},
          {"DelegateMax", 5},
          {"DelegateCur", 4}};
}

// Strings throughout, as `consul info` prints them.
json::object StatsJson(const EmbeddedCatalog& catalog) {
  const Catalog::Node& node = *catalog.catalog().FindNode(catalog.options().node_name);
  const auto count = [&](auto predicate) {
    return std::to_string(
        std::count_if(node.checks.begin(), node.checks.end(),
                      [&](const auto& entry) { return predicate(entry.second); }));
  };
  const std::string index = std::to_string(catalog.catalog().index());
  const std::string leader = absl::StrCat(catalog.options().node_address, ":8300");
  return {{"agent",
           {{"check_monitors", "0"},
            {"check_ttls", count([](const CheckRecord& check) { return check.type == "ttl"; })},
            {"checks", count([](const CheckRecord& check) { return check.id != "serfHealth"; })},
            {"services", std::to_string(node.services.size() - node.services.count("consul"))}}},
          {"build",
           {{"prerelease", ""}, {"revision", "ringway-" RINGWAY_VERSION}, {"version", kVersion}}},
          {"consul",
           {{"acl", "disabled"},
            {"bootstrap", "false"},
            {"known_datacenters", "1"},
            {"leader", "true"},
            {"leader_addr", leader},
            {"server", "true"}}},
          {"raft",
           {{"applied_index", index},
            {"commit_index", index},
            {"num_peers", "0"},
            {"state", "Leader"}}},
          {"runtime",
           {{"cpu_count", std::to_string(std::thread::hardware_concurrency())},
            {"os", "linux"},
            {"version", "ringway"}}},
          {"serf_lan", {{"failed", "0"}, {"left", "0"}, {"members", "1"}}}};
}

}  // namespace

json::value AgentSelfJson(const EmbeddedCatalog& catalog) {
  return {{"Config",
           {{"Datacenter", catalog.options().datacenter},
            {"NodeName", catalog.options().node_name},
            {"NodeID", catalog.node_id()},
            {"Revision", "ringway-" RINGWAY_VERSION},
            {"Server", true},
            {"Version", kVersion}}},
          {"DebugConfig",
           {{"Datacenter", catalog.options().datacenter},
            {"NodeName", catalog.options().node_name},
            {"ACLsEnabled", false},
            {"EnableRemoteScriptChecks", false},
            {"DefaultQueryTime", "5m0s"},
            {"MaxQueryTime", "10m0s"},
            {"CheckUpdateInterval", "5m0s"}}},
          {"Coord",
           {{"Vec", json::array{0, 0, 0, 0, 0, 0, 0, 0}},
            {"Error", 1.5},
            {"Adjustment", 0},
            {"Height", 1e-05}}},
          {"Member", MemberJson(catalog)},
          {"Stats", StatsJson(catalog)},
          {"Meta", {{"consul-network-segment", ""}}}};
}

json::value AgentMembersJson(const EmbeddedCatalog& catalog) {
  json::array members;
  members.push_back(MemberJson(catalog));
  return members;
}

}  // namespace ringway::cp
