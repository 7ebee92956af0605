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
  std::optional<HealthCheck> health_check;
  std::vector<StaticEndpoint> endpoints;  // when given, the service is made of these alone and no catalog is asked
  bool operator==(const ServiceConfig&) const = default;
};

struct CatalogConfig {
  std::string listen = "0.0.0.0:8500";
  std::string data_dir = "/var/lib/ringway";
  bool operator==(const CatalogConfig&) const = default;
};

struct Config {
  std::string file;  // where it was read from; "(built-in)" for the default
  CatalogConfig catalog;
  std::vector<api::Listener> listeners;            // sorted by name
  std::map<std::string, ServiceConfig> services;   // every service a listener routes to, and those only named
  api::Stats stats;
  uint32_t sessions_max = 0;
  uint32_t shutdown_timeout_ms = 30000;
  std::string run_dir;  // empty: --run-dir, RINGWAY_RUN_DIR, /run/ringway
  bool operator==(const Config&) const = default;
};

}  // namespace ringway::cp
