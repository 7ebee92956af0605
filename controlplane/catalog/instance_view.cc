// Health is the worst of the node's and the service's checks; see instance_view.h.
#include "controlplane/catalog/instance_view.h"

#include <arpa/inet.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace ringway::cp {
namespace {

bool IsLiteral(const std::string& address) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, address.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, address.c_str(), bytes) == 1;
}

InstanceHealth HealthOf(const CheckRecord& check) {
  if (check.status == kStatusPassing) return InstanceHealth::kPassing;
  if (check.status == kStatusWarning) return InstanceHealth::kWarning;
  return check.type == "maintenance" ? InstanceHealth::kMaintenance : InstanceHealth::kCritical;
}

// Output of the check, or its notes where it has none (maintenance keeps its reason there); first
// line.
std::string ReasonOf(const CheckRecord& check) {
  const std::string& text = !check.fresh_output.empty() ? check.fresh_output
                            : !check.output.empty()     ? check.output
                                                        : check.notes;
  const std::string line = text.substr(0, text.find('\n'));
  return line.empty() ? absl::StrCat("check ", check.name, " is ", check.status) : line;
}

void Worsen(Instance& instance, const std::vector<const CheckRecord*>& checks) {
  for (const CheckRecord* check : checks) {
    if (HealthOf(*check) <= instance.health) continue;
    instance.health = HealthOf(*check);
    instance.reason = ReasonOf(*check);
  }
}

}  // namespace

Instance MakeInstance(const Catalog::Node& node, const ServiceRecord& service) {
  Instance instance;
  instance.id = absl::StrCat(node.record.name, "/", service.id);
  instance.generation = service.generation;
  instance.registered_index = service.generation;  // when it claimed its address
  instance.draining = service.draining;
  instance.address = service.address.empty() ? node.record.address : service.address;
  instance.tags = service.tags;
  instance.health = InstanceHealth::kPassing;
  Worsen(instance, Catalog::ChecksOf(node, service.id));
  const bool warning = instance.health == InstanceHealth::kWarning;
  instance.weight = static_cast<uint32_t>(
      std::max<int64_t>(1, warning ? service.weights.warning : service.weights.passing));
  const bool port_fits = service.port > 0 && service.port <= 65535;
  instance.port = port_fits ? static_cast<uint16_t>(service.port) : uint16_t{0};
  if (IsLiteral(instance.address) && port_fits) return instance;
  instance.health = InstanceHealth::kCritical;
  instance.reason = absl::StrCat("cannot be reached: ", instance.address, ":", service.port,
                                 " is not an IP address and a port");
  return instance;
}

}  // namespace ringway::cp
