// The config as plain values, after reading and checking. Listeners, service settings and stats are the very structs that
// are pushed to the dataplane; beside them what only the control plane needs. Reference: docs/reference/config.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/api/feed.h"

namespace ringway::cp {

struct StatusRange {
  int first = 200;
  int last = 399;
  bool operator==(const StatusRange&) const = default;
};

// An active check of every endpoint of a service. The defaults are the demo's `HEAD / HTTP/1.1` with `Host: localhost`.
struct HealthCheck {
  enum class Type : uint8_t { kHttp, kTcp };
  Type type = Type::kHttp;
  std::string method = "HEAD";
  std::string path = "/";
  std::string host = "localhost";
  uint16_t port = 0;  // 0: the endpoint's own
  uint32_t interval_ms = 2000;
  uint32_t timeout_ms = 2000;
  uint32_t rise = 2;  // successes in a row that bring a down endpoint up
  uint32_t fall = 3;  // failures in a row that take an up endpoint down
  std::vector<StatusRange> expect_status = {{200, 399}};
  bool operator==(const HealthCheck&) const = default;
};

// An endpoint named in the file: its id is "static/ADDRESS:PORT".
struct StaticEndpoint {
  std::string address;
  uint16_t port = 0;
  uint32_t weight = 1;
  bool operator==(const StaticEndpoint&) const = default;
};

struct ServiceConfig {
  api::Service settings;  // name, balance, timeouts, limits; its endpoints stay empty here
  uint32_t empty_hold_ms = 10000;    // an answer of the catalog that empties the pool is doubted for this long; 0: believed at once
  uint32_t flap_hold_max_ms = 60000;  // an endpoint that goes down again and again stays down for a time that doubles up to this; 0: off
  std::optional<HealthCheck> health_check;
  std::vector<StaticEndpoint> endpoints;  // when given, the service is made of these alone and no catalog is asked
  bool operator==(const ServiceConfig&) const = default;
};

// The embedded catalog's lease: a connection the sidecar holds.
struct LeaseConfig {
  uint32_t timeout_ms = 3000;            // no heartbeat for this long (a frozen host): critical. A closed connection: at once
  uint32_t deregister_after_ms = 10000;  // critical by its lease for this long: out of the catalog
  bool operator==(const LeaseConfig&) const = default;
};

// A real Consul, 1.8 or newer.
struct ConsulConfig {
  std::vector<std::string> addresses;  // URLs, tried in this order; agents or servers of one cluster
  std::string token;                   // ACL token; empty: none
  std::string token_file;              // read at start and again after a 403; instead of `token`
  std::string datacenter;              // empty: the agent's own
  bool stale = true;                   // any server may answer; false: the leader only
  uint32_t wait_ms = 60000;            // of a blocking query
  uint32_t resync_ms = 300000;         // every watch asks once without blocking
  std::string tls_ca_file;             // PEM; empty: the system's
  std::string tls_cert_file;           // client certificate, PEM
  std::string tls_key_file;
  std::string tls_server_name;         // expected in the server's certificate; empty: the URL's host
  bool tls_verify = true;
  bool operator==(const ConsulConfig&) const = default;
};

struct CatalogConfig {
  enum class Type : uint8_t { kEmbedded, kConsul };
  Type type = Type::kEmbedded;
  LeaseConfig lease;    // kEmbedded
  ConsulConfig consul;  // kConsul
  std::string listen = "0.0.0.0:8500";  // kEmbedded
  std::string data_dir = "/var/lib/ringway";  // catalog.db (embedded), feed_state.json, drains kept for a Consul
  bool operator==(const CatalogConfig&) const = default;
};

// For people: "embedded on 0.0.0.0:8500", "consul http://a:8500, http://b:8500".
std::string CatalogName(const CatalogConfig& config);

struct Config {
  std::string file;  // where it was read from; "(built-in)" for the default
  CatalogConfig catalog;
  std::vector<api::Listener> listeners;            // sorted by name
  std::map<std::string, ServiceConfig> services;   // every service a listener routes to, and those only named
  api::Stats stats;
  api::Packet packet;
  api::AccessLog access_log;
  api::Connect connect;
  api::Steering steering = api::Steering::kHash;
  uint32_t sessions_max = 0;
  uint32_t shutdown_timeout_ms = 30000;
  uint32_t handover_timeout_ms = 600000;
  std::string run_dir;  // empty: --run-dir, RINGWAY_RUN_DIR, /run/ringway
  bool operator==(const Config&) const = default;
};

}  // namespace ringway::cp
