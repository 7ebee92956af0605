// Health is the worst of the node's and the service's checks; see instance_view.h.
#include "controlplane/catalog/instance_view.h"

#include "absl/strings/str_cat.h"
#include "controlplane/discovery/instance_health.h"

namespace ringway::cp {
namespace {

CheckView ViewOf(const CheckRecord& check) {
  CheckView view;
  view.name = check.name;
  view.status = check.status;
  view.output = check.fresh_output.empty() ? check.output : check.fresh_output;
  view.notes = check.notes;
  view.maintenance = check.type == "maintenance";
  return view;
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
  for (const CheckRecord* check : Catalog::ChecksOf(node, service.id)) Worsen(instance, ViewOf(*check));
  SetWeightAndPort(instance, service.weights.passing, service.weights.warning, service.port);
  return instance;
}

}  // namespace ringway::cp
