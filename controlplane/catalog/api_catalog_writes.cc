// catalog/register and catalog/deregister: nodes that have no agent here.
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/catalog/api.h"
#include "controlplane/catalog/definitions.h"
#include "controlplane/catalog/fold.h"

namespace ringway::cp {

void Api::AddCatalogWrites() {
  AddWrite("/v1/catalog/register", [this](const Call& call) { return CatalogRegister(call); });
  AddWrite("/v1/catalog/deregister", [this](const Call& call) { return CatalogDeregister(call); });
}

Reply Api::CatalogRegister(const Call& call) {
  auto registration = ParseRegistration(call.body, catalog_.options().datacenter);
  if (!registration.ok()) return ErrorReply(registration.status());
  const std::string node = registration->node.name;
  // Our own node's record is ours: a client may add to it, but not change what it is.
  if (Fold(node) == Fold(catalog_.options().node_name)) registration->skip_node_update = true;
  std::string error;
  catalog_.Change(
      [&](Agent&, Catalog& catalog) { catalog.Register(*std::move(registration), &error); });
  if (!error.empty())
    return TextReply(500,
                     absl::StrCat("failed inserting check: ", error, " on node \"", node, "\""));
  return JsonReply(call, true);
}

Reply Api::CatalogDeregister(const Call& call) {
  const auto what = ParseDeregistration(call.body, catalog_.options().datacenter);
  if (!what.ok()) return ErrorReply(what.status());
  const bool whole_node = what->service_id.empty() && what->check_id.empty();
  if (whole_node && Fold(what->node) == Fold(catalog_.options().node_name)) {
    return TextReply(500, absl::StrCat(what->node, " is this catalog's own node and stays"));
  }
  catalog_.Change([&](Agent& agent, Catalog& catalog) {
    if (!what->service_id.empty()) {
      catalog.DeregisterService(what->node, what->service_id);
    } else if (!what->check_id.empty()) {
      catalog.DeregisterCheck(what->node, what->check_id);
    } else {
      catalog.DeregisterNode(what->node);
    }
    agent.ForgetMissingChecks();
  });
  return JsonReply(call, true);
}

}  // namespace ringway::cp
