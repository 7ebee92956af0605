// What the catalog stores: nodes, services and checks, as plain values. Field names follow Consul's
// documents; the JSON forms are in json_views.h (for clients) and record_json.h (for the store).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ringway::cp {

using Nanoseconds = std::chrono::nanoseconds;

// Catalog-registered checks may carry any word; the agent's own are one of these three.
inline constexpr char kStatusPassing[] = "passing";
inline constexpr char kStatusWarning[] = "warning";
inline constexpr char kStatusCritical[] = "critical";

// CheckRecord::type of the check that stands for a sidecar's connection.
inline constexpr char kLeaseType[] = "lease";

struct Weights {
  int64_t passing = 1;
  int64_t warning = 1;
  bool operator==(const Weights&) const = default;
};

struct TaggedAddress {
  std::string address;
  int64_t port = 0;
  bool operator==(const TaggedAddress&) const = default;
};

struct NodeRecord {
  std::string id;  // UUID, empty for external nodes
  std::string name;
  std::string address;
  std::map<std::string, std::string> tagged_addresses;
  std::map<std::string, std::string> meta;
  uint64_t create_index = 0;
  uint64_t modify_index = 0;
};

struct ServiceRecord {
  std::string id;
  std::string name;
  std::string kind;
  std::vector<std::string> tags;
  std::string address;
  std::map<std::string, TaggedAddress> tagged_addresses;
  std::map<std::string, std::string> meta;
  int64_t port = 0;
  Weights weights;
  bool enable_tag_override = false;
  uint64_t create_index = 0;
  uint64_t modify_index = 0;
  uint64_t generation =
      0;  // index of the registration that created it or last changed address or port
  bool draining = false;  // asked for by its sidecar or a person; ends with the generation
};

// How the agent finds a check's status. Durations of zero: not given.
struct CheckSpec {
  Nanoseconds ttl{0};
  std::string http;
  std::string method;
  std::map<std::string, std::vector<std::string>> headers;
  std::string body;
  std::string tcp;
  Nanoseconds interval{0};
  Nanoseconds timeout{0};
  int64_t success_before_passing = 0;
  int64_t failures_before_critical = 0;
  int64_t output_bytes_max = 4096;
  Nanoseconds deregister_after{0};
  bool operator==(const CheckSpec&) const = default;
  bool IsProbe() const { return !http.empty() || !tcp.empty(); }
};

struct CheckRecord {
  std::string id;
  std::string name;
  std::string status;
  std::string notes;
  std::string output;
  std::string service_id;  // empty: a check of the node
  std::string service_name;
  std::vector<std::string> service_tags;
  std::string type;  // ttl, http, tcp, maintenance, lease, or empty
  CheckSpec spec;
  std::string fresh_output;  // what the agent saw last; `output` follows with the next status or
                             // after 5 minutes
  uint64_t create_index = 0;
  uint64_t modify_index = 0;
};

}  // namespace ringway::cp
