// Consul's service definition files: what a container says about the services it offers.
// https://developer.hashicorp.com/consul/docs/v1.8.x/discovery/services
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sidecar/checks/check.h"

namespace ringway::sidecar {

struct ServiceDefinition {
  std::string id;  // as written; empty: the name
  std::string name;
  uint16_t port = 0;
  std::string address;  // empty: the container's own
  std::vector<std::string> tags;
  std::map<std::string, std::string> meta;
  std::optional<std::pair<int, int>> weights;  // passing, warning
  std::string tagged_addresses_json;           // passed through, empty when absent
  bool enable_tag_override = false;
  std::string token;
  std::vector<CheckDefinition> checks;
};

struct Definitions {
  std::vector<ServiceDefinition> services;
  bool leave_on_terminate = true;      // false: a stop leaves the instance in the catalog
  std::vector<std::string> warnings;   // "FILE: PATH: why it is not honoured"
};

// Reads every *.json of each directory in the order of names, then the files. *.hcl is refused. Errors name
// file:line:column where the JSON is broken, else file and path.
absl::StatusOr<Definitions> ReadDefinitions(const std::vector<std::string>& directories,
                                            const std::vector<std::string>& files);

// One file's text, added to `definitions`; Finish attaches top-level checks to services and must be called once at the end.
class DefinitionReader {
 public:
  absl::Status Add(const std::string& file, std::string_view text);
  absl::StatusOr<Definitions> Finish();

 private:
  struct LooseCheck {  // a check outside of any service
    CheckDefinition check;
    std::string service_id;  // empty: of the whole container
    std::string where;
  };
  Definitions definitions_;
  std::vector<LooseCheck> loose_checks_;
};

}  // namespace ringway::sidecar
