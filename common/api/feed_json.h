// JSON form of the feed's messages: {"type":"snapshot"|"delta"|"hello"|"ack"|"refuse"|"report", ...}.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/api/feed.h"
#include "common/api/words.h"

namespace ringway::api {

std::string EncodeMessage(const Message& message);

// InvalidArgument names the path inside the document and what was wanted there. Unknown keys are ignored, so that an
// older dataplane can follow a newer control plane; a missing key takes the default of feed.h.
absl::StatusOr<Message> DecodeMessage(std::string_view json);

// Applies a delta to the snapshot it was made for. FailedPrecondition when epoch or from_version do not match.
absl::Status ApplyDelta(const Delta& delta, Snapshot& snapshot);

// The delta that leads from `before` to `after`, or nullopt-like empty StatusOr (FailedPrecondition) when more than
// endpoints changed and a whole snapshot has to travel.
absl::StatusOr<Delta> MakeDelta(const Snapshot& before, const Snapshot& after);

}  // namespace ringway::api
