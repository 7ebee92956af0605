// The stored form of records: one JSON document per row of the database (store.h). Not what clients
// see.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "controlplane/catalog/records.h"

namespace ringway::cp {

std::string EncodeNode(const NodeRecord& node);
std::string EncodeService(const ServiceRecord& service);
std::string EncodeCheck(const CheckRecord& check);

// DataLoss when `text` is not what Encode wrote.
absl::StatusOr<NodeRecord> DecodeNode(std::string_view text);
absl::StatusOr<ServiceRecord> DecodeService(std::string_view text);
absl::StatusOr<CheckRecord> DecodeCheck(std::string_view text);

}  // namespace ringway::cp
