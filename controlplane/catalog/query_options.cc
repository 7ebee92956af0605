// Shared query parameters; see query_options.h.
#include "controlplane/catalog/query_options.h"

#include <algorithm>
#include <random>

#include "absl/strings/numbers.h"
#include "controlplane/catalog/go_duration.h"

namespace ringway::cp {
namespace {

absl::Status ParseBlocking(const Call& call, QueryOptions& options) {
  if (const std::string wait = call.Get("wait"); !wait.empty()) {
    const auto duration = ParseGoDuration(wait);
    if (!duration) return absl::InvalidArgumentError("Invalid wait time");
    options.wait = *duration;
  }
  const std::string index = call.Get("index");
  const bool digits =
      std::all_of(index.begin(), index.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!index.empty() && (!digits || !absl::SimpleAtoi(index, &options.index))) {
    return absl::InvalidArgumentError("Invalid index");
  }
  return absl::OkStatus();
}

absl::Status ParseFilters(const Call& call, InstanceFilter& filter) {
  if (!call.Get("filter").empty()) {
    return absl::InvalidArgumentError(
        "?filter is not supported by Ringway's embedded catalog; use ?tag, ?passing or ?node-meta, "
        "or a Consul cluster");
  }
  if (call.Has("passing")) {
    const std::string value = call.Get("passing");
    const auto passing = value.empty() ? std::optional<bool>(true) : ParseGoBool(value);
    if (!passing) return absl::InvalidArgumentError("Invalid value for ?passing");
    filter.passing = *passing;
  }
  for (const auto& [key, value] : call.target.query) {
    if (key == "tag") filter.tags.push_back(value);
    if (key != "node-meta") continue;
    const size_t colon = value.find(':');
    filter.node_meta.emplace_back(value.substr(0, colon),
                                  colon == std::string::npos ? "" : value.substr(colon + 1));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<QueryOptions> ParseQueryOptions(const Call& call, std::string_view datacenter) {
  QueryOptions options;
  if (const absl::Status status = ParseBlocking(call, options); !status.ok()) return status;
  if (call.Has("stale") && call.Has("consistent")) {
    return absl::InvalidArgumentError(
        "Cannot specify ?stale with ?consistent, conflicting semantics.");
  }
  if (call.Has("stale")) options.consistency = "stale";
  if (call.Has("consistent")) options.consistency = "consistent";
  if (const absl::Status status = ParseFilters(call, options.filter); !status.ok()) return status;
  if (const std::string dc = call.Get("dc"); !dc.empty() && dc != datacenter) {
    return absl::InternalError("No path to datacenter");
  }
  return options;
}

std::chrono::nanoseconds WaitWithJitter(std::chrono::nanoseconds wait) {
  static std::mt19937_64 random{std::random_device{}()};
  if (wait.count() <= 0) wait = kWaitDefault;
  wait = std::min<std::chrono::nanoseconds>(wait, kWaitMax);
  std::uniform_int_distribution<int64_t> jitter(0, wait.count() / 16);
  return wait + std::chrono::nanoseconds(jitter(random));
}

std::optional<bool> ParseGoBool(std::string_view text) {
  for (const std::string_view word : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (text == word) return true;
  }
  for (const std::string_view word : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (text == word) return false;
  }
  return std::nullopt;
}

}  // namespace ringway::cp
