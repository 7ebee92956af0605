// The table a worker routes by: immutable, made by feed/ from a pushed snapshot, swapped in between two turns of a worker's
// loop. Services and listeners that did not change are shared between successive maps, so an update costs what changed.
//
// Handles are small stable integers: they index the workers' own tables (pools, counters), survive a swap while the thing
// they name is the same, and are reused by feed/ only when every worker has let go (counters.h: EndpointGauges).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/core/ip_address.h"

namespace ringway::dp {

using EndpointHandle = uint32_t;
using ServiceHandle = uint32_t;
using ListenerHandle = uint32_t;

inline constexpr uint32_t kEndpointsMax = 16384;
inline constexpr uint32_t kServicesMax = 1024;
inline constexpr uint32_t kListenersMax = 64;
inline constexpr uint32_t kNoHandle = ~0u;

enum class Balance : uint8_t { kRoundRobin, kLeastRequests, kRandomOfTwo, kLeastLatency };
enum class Protocol : uint8_t { kHttp, kTcp };

struct EndpointEntry {
  EndpointHandle handle = kNoHandle;
  IpAddress address;
  uint32_t weight = 1;
  bool operator==(const EndpointEntry&) const = default;
};

struct ServiceEntry {
  ServiceHandle handle = kNoHandle;
  std::string name;
  Balance balance = Balance::kRoundRobin;
  uint32_t connect_timeout_ms = 2000;
  uint32_t response_timeout_ms = 60000;
  uint32_t idle_timeout_ms = 60000;
  uint32_t tunnel_timeout_ms = 3600000;
  uint32_t upstream_idle_timeout_ms = 2000;
  uint32_t upstreams_idle_max = 32;  // kept idle for long, per endpoint and worker (feed/ divides the configured number); 0: none at all
  uint32_t retries_max = 2;
  uint32_t retry_after_s = 1;
  // Retry budget: of the requests, and at least so many a second; per worker.
  uint32_t retry_percent = 20;
  uint32_t retry_per_second_min = 10;
  // Passive health; see api::PassiveHealth.
  uint32_t failures_max = 3;
  uint32_t responses_5xx_max = 0;
  uint32_t eject_ms = 5000;
  uint32_t eject_max_ms = 300000;
  uint32_t ejections_max = 0;  // of `ready`, at a time: what the cap leaves after those that are down already
  uint32_t slow_start_ms = 0;
  // Per endpoint and worker (feed/ divides the configured number); 0: no limit.
  uint32_t in_flight_max = 0;
  // Requests that wait for room, and requests that wait for an endpoint; per worker (feed/ divides).
  uint32_t queue_max = 1024;
  uint32_t queue_timeout_ms = 5000;
  uint32_t hold_max = 1024;
  uint32_t hold_timeout_ms = 0;
  std::vector<EndpointEntry> ready;  // those that may get new exchanges; nothing else of the service matters here
  // Positions in `ready`, each as often as its weight asks, spread smoothly: one step a choice. Empty when all weights are
  // equal (the order of `ready` is then the schedule).
  std::vector<uint32_t> schedule;
  bool operator==(const ServiceEntry&) const = default;
};

struct RouteEntry {
  std::string host;  // lower case; empty: any
  std::string path;  // prefix of whole segments; empty: any
  ServiceHandle service = kNoHandle;
};

struct ListenerEntry {
  ListenerHandle handle = kNoHandle;
  std::string name;
  Protocol protocol = Protocol::kHttp;
  IpAddress address;
  std::vector<RouteEntry> routes;  // most specific first: with host before without, longer path before shorter
  std::vector<int> sockets;        // one listening socket per worker, opened by feed/, closed by its worker
  uint32_t head_timeout_ms = 10000;
  uint32_t client_idle_timeout_ms = 60000;
  uint32_t head_bytes_max = 16384;
  uint32_t target_bytes_max = 8192;
  bool access_log = false;
  std::vector<IpBlock> trusted_proxies;
};

struct BackendMap {
  uint64_t version = 0;
  std::vector<std::shared_ptr<const ServiceEntry>> services;    // by handle; null: none
  std::vector<std::shared_ptr<const ListenerEntry>> listeners;  // by handle; null: none
};

}  // namespace ringway::dp
