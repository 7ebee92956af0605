// What the stats show, as plain values added up over the workers at one moment. Collector fills it, the renderers read it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/access_log/access_log.h"
#include "dataplane/core/counters.h"
#include "dataplane/kernel/packet_stats.h"

namespace ringway::dp {

using Responses = std::array<uint64_t, 6>;  // by class, [0] unused

struct EndpointStats {
  std::string id;
  std::string address;  // with port
  uint64_t generation = 0;
  uint32_t weight = 1;
  // ready, draining, down; ejected: ready for the control plane, but passive health keeps it out in every worker; left: out of
  // the snapshot, something still in flight.
  std::string state;
  std::string reason;  // of the state, in words
  uint64_t ejected = 0;  // gauge: workers that keep it out; between none and all the state is ready
  uint64_t ejected_ms = 0;  // gauge: until the last of them lets it in again
  uint64_t ejections = 0;
  uint64_t in_flight_max = 0;  // as configured; 0: no limit
  uint64_t in_flight = 0, upstreams_open = 0, upstreams_idle = 0;  // gauges
  uint64_t exchanges = 0, connects = 0, connect_failures = 0, reuses = 0, failures = 0;
  uint64_t response_timeouts = 0, moved = 0, bytes_sent = 0, bytes_received = 0;
  uint64_t response_time_us_sum = 0, response_time_us_ewma = 0;
  // The kernel's word on the way to it, from samples of connections: round trip, segments sent and sent again.
  uint64_t rtt_us = 0, segments_sampled = 0, retransmits_sampled = 0;
  uint64_t connect_chosen = 0, connect_open = 0;  // connect delivery: sockets led to it, and of these open now (gauge)
  Responses responses{};
  uint64_t rate = 0, rate_max = 0;  // exchanges a second
  PacketTraffic packet;  // by packet delivery
  std::string packet_trouble;  // ready, and yet it gets no packets or is not heard: why
};

struct ServiceStats {
  std::string name;
  std::string balance;
  uint64_t requests = 0, no_endpoint = 0, retries = 0, failed = 0, client_aborts = 0;
  uint64_t retries_pooled = 0, retries_denied = 0, ejections_denied = 0;
  uint64_t waiting = 0;      // gauge: requests that wait for room or for an endpoint
  uint64_t waiting_max = 0;  // the most that were seen at a tick, once a second
  uint64_t waited = 0, wait_timeouts = 0, wait_full = 0;
  Responses responses{};
  std::array<uint64_t, kLatencyBuckets> latency{};
  uint64_t latency_sum_us = 0;
  uint64_t rate = 0, rate_max = 0;  // requests a second
  bool by_packet = false;  // a listener leads here by packet delivery
  PacketTraffic packet;
  std::vector<EndpointStats> endpoints;  // sorted by id

  uint64_t Ready() const;
  uint64_t Doubtful() const;  // of the ready ones those of which something is said: kept although their checks fail, ejected in part
  uint64_t Ejected() const;  // kept out by every worker
  // Sums over the endpoints.
  uint64_t Sum(uint64_t EndpointStats::*member) const;
  uint64_t LatencyCount() const;
  double LatencyMeanMs() const;
  double LatencyQuantileMs(double q) const;  // within the bucket by linear interpolation
};

struct ListenerStats {
  std::string name;
  std::string bind;
  std::string protocol;
  std::string delivery;  // "proxy", "packet", "connect"; in effect, with what was asked for when that is something else
  uint64_t sessions_open = 0, sessions = 0, requests = 0, bytes_received = 0, bytes_sent = 0;
  std::array<uint64_t, kRefusals> refused{};
  std::array<uint64_t, kBadReasonNames.size()> bad_requests{};  // of refused's bad_request, by what was wrong
  Responses responses{};
  uint64_t connect_chosen = 0, connect_empty = 0, connect_foreign = 0;  // connect delivery
  uint64_t rate = 0, rate_max = 0;                  // requests a second
  uint64_t session_rate = 0, session_rate_max = 0;  // sessions a second
  uint64_t RefusedSum() const;
};

struct WorkerStats {
  std::array<uint64_t, kLimits> limits{};
  std::array<uint64_t, kTimeouts> timeouts{};
  int64_t cpu = -1;  // the one it runs on; -1: any
  std::string pages;  // of its receive buffers
  std::string bulk;   // splice, copy, or why it copies though it was not told to
  bool splice_refused = false;
  uint64_t accept_errors = 0, turns = 0, completions = 0, unexpected = 0;
  uint64_t sessions_open = 0, exchanges_open = 0, upstreams_open = 0;
  uint64_t buffers_small_used = 0, buffers_large_used = 0, pipes_used = 0, bytes_copied = 0, bytes_spliced = 0;
};

struct FeedStats {
  bool used = false;  // false: run from a file, without a control plane
  bool connected = false;
  uint64_t since_ms = 0;  // how long connected, or not
  uint64_t connects = 0, messages = 0, applied = 0, refused = 0;
  std::string refusal;
  std::string source;  // push, disk, file; empty before the first snapshot
  std::string epoch;
  uint64_t version = 0;
  uint64_t age_ms = 0;  // since the snapshot was pushed or its file written
};

// What the control plane last said of its catalog.
struct CatalogStats {
  bool known = false;    // false: nothing was said yet, or there is no control plane
  bool up = false;       // the control plane is heard and says that the catalog answers
  std::string name;      // "embedded", or the address of a Consul
  std::string trouble;   // why not up, in words
  uint64_t age_ms = 0;   // since the catalog was last known to answer; grows too while the control plane is not heard
};

// A kernel program as it is now: on, off, or refused and why.
struct ProgramStats {
  std::string program;
  std::string state;
  std::string detail;
};

struct StatsModel {
  std::string version;
  int64_t pid = 0;
  uint64_t uptime_ms = 0;
  int64_t started_at = 0;  // Unix seconds
  bool ready = false;
  std::string not_ready_reason;
  bool leaving = false;  // a successor has the listening sockets, sessions that are open are finished
  uint64_t sessions_open = 0;
  FeedStats feed;
  CatalogStats catalog;
  AccessLogStatus access_log;
  PacketStats packet;
  std::vector<ListenerStats> listeners;
  std::vector<ServiceStats> services;
  std::vector<WorkerStats> workers;
  std::vector<ProgramStats> programs;
  uint64_t steered_local = 0, steered_least = 0, steered_hashed = 0;  // new connections, while steering is on
};

}  // namespace ringway::dp
