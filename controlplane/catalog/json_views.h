// The documents clients see: Consul 1.8's shapes, member by member (docs/reference/catalog_api.md,
// "Shapes").
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/catalog/catalog.h"

namespace ringway::cp {

// What a request asked to leave out. Tags are compared folded; all of them must be there.
struct InstanceFilter {
  std::vector<std::string> tags;
  std::vector<std::pair<std::string, std::string>> node_meta;
  bool passing = false;
};

struct ViewSource {
  const Catalog& catalog;
  const std::string& datacenter;
};

boost::json::value HealthServiceJson(const ViewSource& source, std::string_view service,
                                     const InstanceFilter& filter);
boost::json::value CatalogServiceJson(const ViewSource& source, std::string_view service,
                                      const InstanceFilter& filter);
boost::json::value ServicesJson(const ViewSource& source, const InstanceFilter& filter);
boost::json::value NodesJson(const ViewSource& source, const InstanceFilter& filter);
// `list`: as catalog/node-services has it.
boost::json::value NodeJson(const ViewSource& source, std::string_view node, bool list);
boost::json::value ServiceChecksJson(const ViewSource& source, std::string_view service);
boost::json::value NodeChecksJson(const ViewSource& source, std::string_view node);
boost::json::value StateJson(const ViewSource& source, std::string_view state);

// The agent's own view of a service and of its checks.
boost::json::value AgentServiceJson(const ServiceRecord& service);
boost::json::value AgentServicesJson(const Catalog::Node& node);
boost::json::value AgentChecksJson(const Catalog::Node& node);
// Fingerprint of the agent's view of a service, 16 hex digits.
std::string ContentHash(const ServiceRecord& service);

}  // namespace ringway::cp
