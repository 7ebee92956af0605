// What the control plane pushes and the dataplane obeys: one snapshot of listeners, services and endpoints, and the
// messages around it. Plain values; the JSON form is in feed_json.h, the framing in feed_frame.h.
// Protocol: docs/reference/feed.md.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace ringway::api {

enum class Protocol : uint8_t { kHttp, kTcp, kUdp };
// Where a listener's bytes go: through the workers; from client to endpoint in the kernel, packet by packet; or, for clients of
// this host, straight from their connect(2) to the endpoint. docs/deliveries.md.
enum class Delivery : uint8_t { kProxy, kPacket, kConnect };
// What a listener of another delivery does on a kernel that cannot: the proxy takes it (never for UDP), or nobody.
enum class Fallback : uint8_t { kProxy, kRefuse };
enum class Balance : uint8_t { kRoundRobin, kLeastRequests, kRandomOfTwo, kLeastLatency };

// kReady may get requests. kDraining gets no new ones, what is in flight ends in peace. kDown is known and shown, and gets none.
enum class EndpointState : uint8_t { kReady, kDraining, kDown };

// One instance of a service. `id` is unique within the service ("NODE/SERVICE_ID"); `generation` changes whenever the
// same id becomes another instance (new address, new container), so that connections are never carried over.
struct Endpoint {
  std::string id;
  uint64_t generation = 0;
  std::string address;  // IPv4 or IPv6 literal, never a name
  uint16_t port = 0;
  uint32_t weight = 1;  // 1..256
  EndpointState state = EndpointState::kReady;
  std::string reason;  // why it is not ready, or is ready in spite of something, in words for the stats page; else empty
  bool operator==(const Endpoint&) const = default;
};

// Milliseconds. Zero is refused by the config; every wait has an end.
struct Timeouts {
  uint32_t connect_ms = 2000;      // TCP connect to an endpoint
  uint32_t response_ms = 60000;    // request sent -> first byte of the response
  uint32_t idle_ms = 60000;        // no byte moved while a body or a TCP stream is under way
  uint32_t tunnel_ms = 3600000;    // no byte moved in an upgraded (WebSocket) session
  uint32_t upstream_idle_ms = 2000;  // a pooled upstream unused for this long is closed; below the endpoint's own (Apache: 5 s)
  bool operator==(const Timeouts&) const = default;
};

// Judged by the dataplane from what it sees: an endpoint that fails so often in a row gets no requests for a while. The time
// doubles with each ejection in a row up to eject_max_ms; back, it is on probation: a ramp (slow start), and one failure ejects.
struct PassiveHealth {
  uint32_t failures_max = 3;       // connect failures, resets before a response, response time-outs; 0: never ejects
  uint32_t responses_5xx_max = 0;  // 5xx answers in a row that count as such; 0: they never do
  uint32_t eject_ms = 5000;
  uint32_t eject_max_ms = 300000;
  bool operator==(const PassiveHealth&) const = default;
};

// Retries so far never exceed `percent` of the requests and `per_second_min` a second on top (token bucket).
struct RetryBudget {
  uint32_t percent = 20;
  uint32_t per_second_min = 10;
  bool operator==(const RetryBudget&) const = default;
};

// Requests in flight per endpoint, over all workers of one dataplane; Apache's MaxRequestWorkers is the measure.
struct EndpointLimit {
  uint32_t in_flight_max = 0;       // 0: no limit
  uint32_t queue_max = 1024;        // requests of the service that wait while all endpoints are full; further ones get 503
  uint32_t queue_timeout_ms = 5000;  // then 503
  bool operator==(const EndpointLimit&) const = default;
};

// What a request does that finds no endpoint.
struct Hold {
  uint32_t timeout_ms = 0;       // 0: 503 at once
  uint32_t requests_max = 1024;  // that wait at a time; further ones get 503
  bool operator==(const Hold&) const = default;
};

struct Service {
  std::string name;
  Balance balance = Balance::kRoundRobin;
  Timeouts timeouts;
  uint32_t upstreams_idle_max = 64;  // pooled idle connections per endpoint, over all workers
  uint32_t retries_max = 2;          // further endpoints tried when one fails before its first response byte
  RetryBudget retry_budget;
  uint32_t retry_after_s = 1;        // Retry-After of the 503 when no endpoint is ready
  PassiveHealth passive_health;
  uint32_t ejected_percent_max = 50;  // of a pool, down by health (active and passive) at most; rounded down
  uint32_t slow_start_ms = 0;         // ramp of an endpoint that joins a pool; 0: full share at once
  EndpointLimit endpoint_limit;
  Hold hold;
  std::vector<Endpoint> endpoints;   // sorted by id
  bool operator==(const Service&) const = default;
};

// First matching host (exact, then any), then the longest matching path prefix.
struct Route {
  std::string host;  // lower case, no port; empty matches any
  std::string path;  // prefix, whole segments; empty matches any
  std::string service;
  bool operator==(const Route&) const = default;
};

struct Listener {
  std::string name;
  std::string bind;  // "ADDRESS:PORT", "[ADDRESS]:PORT"
  Protocol protocol = Protocol::kHttp;  // kUdp: never with Delivery::kProxy
  Delivery delivery = Delivery::kProxy;  // kPacket: never with kHttp
  Fallback fallback = Fallback::kProxy;
  std::vector<Route> routes;  // kTcp, kUdp: exactly one, host and path empty
  uint32_t head_timeout_ms = 10000;   // first byte of a request head -> its last byte, in total
  uint32_t client_idle_ms = 60000;    // keep-alive: end of a response -> first byte of the next request
  uint32_t head_bytes_max = 16384;    // request line and headers; 431 beyond; at most 16384
  uint32_t target_bytes_max = 8192;   // request target; 414 beyond
  std::vector<std::string> trusted_proxies;  // CIDR; their X-Forwarded-* are kept, anyone else's replaced
  bool access_log = false;            // each request, or TCP session, leaves a line in Snapshot::access_log
  bool defer_accept = false;          // kHttp: connections are taken when their first bytes have come (TCP_DEFER_ACCEPT)
  bool operator==(const Listener&) const = default;
};

enum class PacketMode : uint8_t { kAuto, kTc, kXdp };
// An interface that packets of clients or endpoints come in by. `name` may end in '*'.
struct PacketInterface {
  std::string name;
  PacketMode mode = PacketMode::kAuto;
  bool operator==(const PacketInterface&) const = default;
};
// kNat: the endpoint sees an address of the balancer. kTransparent: it sees the client, and its way back to clients leads
// through the balancer. kDirect: it sees the client and the service's address, which it holds itself, and answers past us.
enum class PacketNat : uint8_t { kNat, kTransparent, kDirect };
enum class OnDead : uint8_t { kReset, kSilence };  // what the clients of an endpoint that died hear
enum class OnStop : uint8_t { kDetach, kKeep };
// No packet of a flow for so long: it is forgotten.
struct PacketTimeouts {
  uint32_t syn_ms = 10000;             // TCP, until the client has answered the endpoint
  uint32_t established_ms = 7440000;   // TCP; RFC 5382 wants no less than 2 h 4 min
  uint32_t fin_ms = 60000;             // TCP, one side has closed
  uint32_t closed_ms = 5000;           // TCP, both have
  uint32_t reset_ms = 2000;            // TCP, after a RST
  uint32_t udp_ms = 30000;             // UDP, only the client has spoken
  uint32_t udp_answered_ms = 5000;     // UDP, one question and its answer
  uint32_t udp_stream_ms = 120000;     // UDP, more than that
  bool operator==(const PacketTimeouts&) const = default;
};
// Packet delivery, for all listeners that have it.
struct Packet {
  std::vector<PacketInterface> interfaces;  // none: each that has an address, loopback aside
  PacketNat nat = PacketNat::kNat;
  std::vector<std::string> snat_addresses;  // kNat: what endpoints see; none: the address this host reaches each of them from
  uint32_t snat_port_first = 10240;         // below the range of local ports, so that the host's own connections never clash
  uint32_t snat_port_last = 32767;
  OnDead on_dead = OnDead::kReset;
  OnStop on_stop = OnStop::kDetach;
  uint32_t flows_max = 131072;
  PacketTimeouts timeouts;
  std::string pin_dir = "/sys/fs/bpf/ringway";
  bool operator==(const Packet&) const = default;
};

// Where listeners that log write to, and how.
enum class AccessFormat : uint8_t { kJson, kCombined };
struct AccessLog {
  std::string path = "stdout";  // or an absolute path: a file, which may be moved away at any time, or a FIFO
  AccessFormat format = AccessFormat::kJson;
  bool operator==(const AccessLog&) const = default;
};

// Connect delivery, for all listeners that have it.
struct Connect {
  std::vector<std::string> cgroups;  // whose sockets are led to endpoints; none: the root of the cgroup v2 hierarchy
  OnStop on_stop = OnStop::kDetach;
  std::string pin_dir = "/sys/fs/bpf/ringway";
  bool operator==(const Connect&) const = default;
};

// Which worker takes a new connection: the kernel's hash of its addresses decides, or who has the fewest sessions.
enum class Steering : uint8_t { kHash, kLeastSessions, kLocal };

struct Stats {
  std::string bind = "0.0.0.0:9000";
  std::string user = "admin";
  std::string password = "admin";
  bool operator==(const Stats&) const = default;
};

// `epoch` names one control plane's life (random at its first start, kept in data_dir); versions grow within an epoch.
struct Snapshot {
  std::string epoch;
  uint64_t version = 0;
  std::vector<Listener> listeners;  // sorted by name
  std::vector<Service> services;    // sorted by name
  Stats stats;
  Packet packet;
  AccessLog access_log;
  Connect connect;
  Steering steering = Steering::kHash;
  uint32_t sessions_max = 0;            // per dataplane; 0: from the limit of open files
  uint32_t shutdown_timeout_ms = 30000;  // SIGTERM: time for requests in flight to end
  uint32_t handover_timeout_ms = 600000;  // after an upgrade: time for the old dataplane's sessions to end
  bool operator==(const Snapshot&) const = default;
};

// Changes of endpoints from one version to the next. Whatever else changes (config) travels as a whole Snapshot.
struct ServiceDelta {
  std::string service;
  std::vector<Endpoint> upserted;
  std::vector<std::string> removed;  // endpoint ids
  bool operator==(const ServiceDelta&) const = default;
};
struct Delta {
  std::string epoch;
  uint64_t from_version = 0;
  uint64_t version = 0;
  std::vector<ServiceDelta> services;
  bool operator==(const Delta&) const = default;
};

// dataplane -> control plane, once after connecting. A zero version asks for a whole snapshot, as does a foreign epoch.
struct Hello {
  uint32_t protocol = 1;
  int64_t pid = 0;
  uint32_t workers = 0;
  std::string epoch;
  uint64_t version = 0;
  bool operator==(const Hello&) const = default;
};
struct Ack {
  uint64_t version = 0;
  bool partial = false;  // all but its listeners: a Refuse of the same version follows and says why
  bool operator==(const Ack&) const = default;
};
// The snapshot was not taken; what ran before goes on running.
struct Refuse {
  uint64_t version = 0;
  std::string reason;
  bool operator==(const Refuse&) const = default;
};
// What is still in flight on endpoints that drain or have left: sent after each Ack and then whenever it changed, at most
// every 50 ms, until it is zero for all.
struct InFlight {
  std::string service;
  std::string endpoint;
  uint64_t generation = 0;
  uint64_t exchanges = 0;
  bool operator==(const InFlight&) const = default;
};
// An endpoint that passive health has ejected, in at least one worker. Told when it changes.
struct Ejection {
  std::string service;
  std::string endpoint;
  uint64_t generation = 0;
  uint32_t workers = 0;       // that keep it out now
  uint32_t remaining_ms = 0;  // the longest of them
  uint64_t times = 0;         // ejections so far, all workers
  std::string reason;         // of the last one, in words
  bool operator==(const Ejection&) const = default;
};
struct Report {
  uint64_t version = 0;
  std::vector<InFlight> draining;
  std::vector<Ejection> ejected{};
  bool leaving = false;  // has handed its listeners to a successor and only ends its sessions
  bool operator==(const Report&) const = default;
};

// control plane -> dataplane, every second and at each change: how the catalog is, for the dataplane's stats and metrics.
struct CatalogStatus {
  std::string name;  // "embedded", or the address of the Consul in use
  bool ok = true;
  int64_t good_unix_ms = 0;  // when it was last known to answer
  std::string error;         // why not ok, in words
  bool operator==(const CatalogStatus&) const = default;
};

using Message = std::variant<Hello, Snapshot, Delta, Ack, Refuse, Report, CatalogStatus>;

}  // namespace ringway::api
