// The query parameters all reads share: blocking, consistency, filters. Consul 1.8: agent/http.go,
// parseWait and friends.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "controlplane/catalog/api.h"

namespace ringway::cp {

struct QueryOptions {
  uint64_t index = 0;  // 0: answer at once
  std::chrono::nanoseconds wait{0};
  std::string consistency = "leader";  // leader, stale, consistent
  InstanceFilter filter;
};

inline constexpr std::chrono::minutes kWaitDefault{5};
inline constexpr std::chrono::minutes kWaitMax{10};

// InvalidArgument (400) or Internal (500) with Consul's text.
absl::StatusOr<QueryOptions> ParseQueryOptions(const Call& call, std::string_view datacenter);
// What a reader waits: default and cap applied, and up to a sixteenth more at random, never less.
std::chrono::nanoseconds WaitWithJitter(std::chrono::nanoseconds wait);
// Go's strconv.ParseBool.
std::optional<bool> ParseGoBool(std::string_view text);

}  // namespace ringway::cp
