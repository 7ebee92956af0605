// The bodies of register requests: Consul's service, check and catalog documents, read as strictly
// as Consul 1.8 reads them. Errors are the text of the answer: InvalidArgument for 400, Internal
// for 500.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/catalog/catalog.h"
#include "controlplane/catalog/records.h"

namespace ringway::cp {

struct CheckDefinition {
  std::string id;    // empty: to be derived
  std::string name;  // likewise
  std::string notes;
  std::string status;  // empty: critical
  std::string service_id;
  CheckSpec spec;
};

struct ServiceDefinition {
  ServiceRecord service;  // id filled in
  std::vector<CheckDefinition> checks;
};

struct CheckUpdate {
  std::string status;
  std::string output;
};

struct CatalogDeregistration {
  std::string node;
  std::string service_id;
  std::string check_id;
};

// PUT agent/service/register
absl::StatusOr<ServiceDefinition> ParseServiceDefinition(std::string_view body);
// PUT agent/check/register
absl::StatusOr<CheckDefinition> ParseCheckDefinition(std::string_view body);
// PUT agent/check/update
absl::StatusOr<CheckUpdate> ParseCheckUpdate(std::string_view body);
// PUT catalog/register, catalog/deregister
absl::StatusOr<Registration> ParseRegistration(std::string_view body, std::string_view datacenter);
absl::StatusOr<CatalogDeregistration> ParseDeregistration(std::string_view body,
                                                          std::string_view datacenter);

}  // namespace ringway::cp
