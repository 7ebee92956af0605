// One check object of a definition file.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sidecar/checks/check.h"

namespace ringway::sidecar {

struct ParsedCheck {
  CheckDefinition check;
  std::string service_id;  // only outside of a service
};

// Nothing when the check is of a kind the sidecar cannot run; `warnings` says which. `outside` allows service_id.
absl::StatusOr<std::optional<ParsedCheck>> ParseCheck(const boost::json::value& value, const std::string& where,
                                                      bool outside, std::vector<std::string>& warnings);

}  // namespace ringway::sidecar
