// What a worker counts. One writer (its worker), any reader, no lock: a counter is a relaxed atomic written with a plain
// load and store. Readers (stats/) add up the workers. A handle's counters belong to the identity feed/ gave it to; feed/ sets
// them to zero before it gives the handle to another one, when every worker has let go of it and none writes.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>

#include "dataplane/core/backend_map.h"

namespace ringway::dp {

class Counter {
 public:
  void Add(uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void Sub(uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed); }
  void Set(uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  uint64_t Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Bucket b counts values in [2^b, 2^(b+1)) microseconds, the last one everything above; bucket 0 also holds zero.
inline constexpr uint32_t kLatencyBuckets = 27;  // the last begins at 67 s
struct LatencyHistogram {
  std::array<Counter, kLatencyBuckets> buckets;
  Counter sum_us;
  void Record(uint64_t us) {
    uint32_t b = us == 0 ? 0 : static_cast<uint32_t>(std::bit_width(us)) - 1;
    buckets[b < kLatencyBuckets ? b : kLatencyBuckets - 1].Add();
    sum_us.Add(us);
  }
};

// Why an endpoint was ejected; the order is that of kEjectionReasonNames.
enum class EjectionReason : uint8_t { kNone, kConnect, kReset, kTimeout, k5xx };
inline constexpr std::array<const char*, 5> kEjectionReasonNames = {
    "", "connections fail", "connections end before a response", "no response in time", "answers 5xx"};

struct EndpointCounters {
  // Gauges. All three are zero before feed/ may reuse the handle.
  Counter exchanges_in_flight;  // requests, or TCP sessions, bound to it now
  Counter upstreams_open;       // connections to it, connecting and idle ones included
  Counter upstreams_idle;       // of these, pooled

  Counter exchanges_total;
  Counter connects_total;
  Counter connect_failures_total;   // refused, unreachable, timed out
  Counter reuses_total;             // exchanges that took a pooled upstream
  Counter failures_total;           // died or broke the protocol during an exchange
  Counter response_timeouts_total;
  Counter moved_total;              // exchanges that left this endpoint for another one
  Counter bytes_sent_total;         // to the endpoint
  Counter bytes_received_total;     // from the endpoint
  std::array<Counter, 6> responses_total;  // by class: [1] 1xx .. [5] 5xx; [0] unused
  Counter response_time_us_total;   // request chosen -> first response byte
  Counter response_time_us_ewma;    // of the same, weight 1/8
  Counter rtt_us_ewma;                 // the kernel's smoothed round trip to it, sampled; weight 1/8
  Counter segments_sampled_total;      // TCP segments sent on connections that were sampled
  Counter retransmits_sampled_total;   // of these, sent again
  Counter ejected_until_us;         // gauge, of Io::NowUs(): gets no requests before; 0: never ejected
  Counter ejections_total;
  Counter ejection_reason;          // EjectionReason of the last one
};

struct ServiceCounters {
  Counter exchanges_in_flight;      // gauge; zero before feed/ may reuse the handle
  Counter requests_total;           // exchanges routed here, or TCP sessions
  Counter no_endpoint_total;        // answered 503: nobody ready
  Counter retries_total;            // further attempts
  Counter retries_pooled_total;     // of these, because a pooled upstream had died: outside the budget
  Counter retries_denied_total;     // not made: the budget was spent
  Counter waiting;                  // gauge: requests that wait for room or for an endpoint
  Counter waited_total;             // times a request had to wait, however it ended
  Counter wait_timeouts_total;      // of these, answered 503 when their time was over
  Counter wait_full_total;          // answered 503 at once: as many waited already as may
  Counter ejections_denied_total;   // endpoints not ejected: too many are already
  Counter failed_total;             // answered 502 or 504, or cut off
  Counter client_aborts_total;      // client went away during the exchange
  std::array<Counter, 6> responses_total;  // as the client saw them, ours included
  LatencyHistogram response_time;   // request head complete -> first response byte passed on
};

// Why a request was refused by ourselves; the order is that of kRefusalNames.
enum class Refusal : uint8_t { kBadRequest, kHeadTimeout, kTargetTooLong, kHeadTooLarge, kVersion, kNotImplemented, kNoRoute };
inline constexpr uint32_t kRefusals = 7;
inline constexpr std::array<const char*, kRefusals> kRefusalNames = {
    "bad_request", "head_timeout", "target_too_long", "head_too_large", "version", "not_implemented", "no_route"};

// What was wrong with a request answered 400; the order is that of BadReason (http_head.h). Nameless ones
// are never a request's.
inline constexpr std::array<const char*, 14> kBadReasonNames = {
    "", "request_line", "target", "line_end", "field_name", "field_value", "folded", "host", "content_length",
    "transfer_encoding", "both_framings", "connection", "cuts", ""};

struct ListenerCounters {
  Counter sessions_open;            // gauge; zero before feed/ may reuse the handle
  Counter sessions_total;
  Counter requests_total;
  Counter bytes_received_total;     // from clients
  Counter bytes_sent_total;         // to clients
  std::array<Counter, kRefusals> refused_total;
  std::array<Counter, kBadReasonNames.size()> bad_requests_total;  // of refused_total's bad_request
  std::array<Counter, 6> responses_total;
};

// Limits that were hit. stats/ and the log name them; the order is that of kLimitNames.
enum class Limit : uint8_t { kSessions, kUpstreams, kFiles, kExchanges, kBuffersSmall, kBuffersLarge, kPipes };
inline constexpr uint32_t kLimits = 7;
inline constexpr std::array<const char*, kLimits> kLimitNames = {
    "sessions", "upstreams", "open_files", "exchanges", "buffers_small", "buffers_large", "pipes"};

// Time-outs that ended something; the order is that of kTimeoutNames.
enum class Timeout : uint8_t { kHead, kClientIdle, kConnect, kResponse, kBodyIdle, kTunnel, kUpstreamIdle, kLinger };
inline constexpr uint32_t kTimeouts = 8;
inline constexpr std::array<const char*, kTimeouts> kTimeoutNames = {
    "head", "client_idle", "connect", "response", "body_idle", "tunnel", "upstream_idle", "linger"};

struct WorkerCounters {
  std::array<Counter, kLimits> limits_total;
  std::array<Counter, kTimeouts> timeouts_total;
  Counter accept_errors_total;      // other than limits
  Counter ejections_total;          // of all endpoints: tells a reader that there is something to read
  Counter turns_total;              // turns of the loop
  Counter completions_total;
  Counter unexpected_total;         // operations that ended with an errno no handler foresees
  Counter sessions_open;            // gauge
  Counter exchanges_open;           // gauge
  Counter upstreams_open;           // gauge
  Counter buffers_small_used;       // gauge
  Counter buffers_large_used;       // gauge
  Counter access_dropped_total;     // records of the access log for which its ring had no room
  Counter pipes_used;               // gauge
  Counter bytes_copied_total;       // sent to clients from user memory
  Counter bytes_spliced_total;      // sent to clients out of a pipe
};

// All of one worker's counters, about 4 MB.
struct CounterTable {
  WorkerCounters worker;
  std::array<ListenerCounters, kListenersMax> listeners;
  std::array<ServiceCounters, kServicesMax> services;
  std::array<EndpointCounters, kEndpointsMax> endpoints;
};

}  // namespace ringway::dp
