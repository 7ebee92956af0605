// The own node's registration; see self_node.h.
#include "controlplane/catalog/self_node.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controlplane/catalog/fold.h"

namespace ringway::cp {
namespace {

// A host that was renamed: nodes that carry this database's id under another name go, and are given
// out.
std::vector<Catalog::Node> TakeFormerNodes(Catalog& catalog, const std::string& name,
                                           const std::string& node_id) {
  std::vector<std::string> former;
  for (const auto& [key, node] : catalog.nodes()) {
    if (node.record.id == node_id && key != Fold(name)) former.push_back(node.record.name);
  }
  std::vector<Catalog::Node> moved;
  for (const std::string& old_name : former) {
    moved.push_back(*catalog.FindNode(old_name));
    catalog.DeregisterNode(old_name);
  }
  return moved;
}

Registration OwnRegistration(const std::string& name, const std::string& address,
                             const std::string& node_id) {
  Registration self;
  self.node.id = node_id;
  self.node.name = name;
  self.node.address = address;
  const char* family = address.find(':') == std::string::npos ? "ipv4" : "ipv6";
  for (const char* side : {"lan", "wan"}) {
    self.node.tagged_addresses[side] = address;
    self.node.tagged_addresses[absl::StrCat(side, "_", family)] = address;
  }
  self.node.meta = {{"consul-network-segment", ""}};
  ServiceRecord& consul = self.service.emplace();
  consul.id = consul.name = "consul";
  consul.port = 8300;
  consul.meta = {{"non_voter", "false"},         {"raft_version", "3"},
                 {"serf_protocol_current", "2"}, {"serf_protocol_max", "5"},
                 {"serf_protocol_min", "1"},     {"version", "1.8.7"}};
  CheckRecord& serf = self.checks.emplace_back();
  serf.id = "serfHealth";
  serf.name = "Serf Health Status";
  serf.status = kStatusPassing;
  serf.output = serf.fresh_output = "Agent alive and reachable";
  return self;
}

}  // namespace

std::string HostName() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

std::string HostAddress() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return "127.0.0.1";
  std::string address = "127.0.0.1";
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    if ((entry->ifa_flags & IFF_LOOPBACK) != 0 || (entry->ifa_flags & IFF_UP) == 0) continue;
    char text[INET_ADDRSTRLEN] = {};
    const void* in = &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)
                          ->sin_addr;  // NOLINT: sockaddr's own idiom
    if (inet_ntop(AF_INET, in, text, sizeof text) != nullptr) {
      address = text;
      break;
    }
  }
  freeifaddrs(list);
  return address;
}

void RegisterSelf(Catalog& catalog, const std::string& name, const std::string& address,
                  const std::string& node_id) {
  const std::vector<Catalog::Node> moved = TakeFormerNodes(catalog, name, node_id);
  std::string error;
  catalog.Register(OwnRegistration(name, address, node_id), &error);
  for (const Catalog::Node& node : moved) {
    for (const auto& [id, service] : node.services) {
      Registration registration;
      registration.node.name = name;
      registration.skip_node_update = true;
      registration.service = service;
      for (const auto& [check_id, check] : node.checks) {
        if (check.service_id == id) registration.checks.push_back(check);
      }
      catalog.Register(std::move(registration), &error);
    }
  }
}

}  // namespace ringway::cp
