// What is written down of an exchange when it ends: one record, a fixed head and the texts behind it, made by a worker and read
// by the access log's thread (dataplane/access_log). Plain memory: nothing in it points anywhere.
// docs/reference/access_log.md says what its fields become.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/core/backend_map.h"
#include "dataplane/core/ip_address.h"

namespace ringway::dp {

// How an exchange ended; the order is that of kEndNames. The seven from kBadRequest on are in the order of Refusal (counters.h).
enum class End : uint8_t {
  kDone,
  kBadRequest,
  kHeadTimeout,
  kTargetTooLong,
  kHeadTooLarge,
  kVersion,
  kNotImplemented,
  kNoRoute,
  kNoEndpoint,
  kQueueFull,
  kQueueTimeout,
  kNoResources,
  kConnectFailed,
  kConnectTimeout,
  kEndpointReset,
  kBadResponse,
  kResponseTimeout,
  kEndpointCut,
  kEndpointStalled,
  kBodyTimeout,
  kClientGone,
  kClientStalled,
  kIdleTimeout,
  kStopped,
};
inline constexpr std::array<const char*, 24> kEndNames = {
    "done",          "bad_request",    "head_timeout",    "target_too_long", "head_too_large",   "version",
    "not_implemented", "no_route",     "no_endpoint",     "queue_full",      "queue_timeout",    "no_resources",
    "connect_failed", "connect_timeout", "endpoint_reset", "bad_response",   "response_timeout", "endpoint_cut",
    "endpoint_stalled", "body_timeout", "client_gone",    "client_stalled",  "idle_timeout",     "stopped"};
static_assert(static_cast<size_t>(End::kStopped) + 1 == kEndNames.size());

// The texts of a request, in the order in which they stand behind a record; each is cut at its length.
enum class AccessText : uint8_t { kLine, kHost, kForwardedFor, kReferer, kUserAgent };
inline constexpr uint32_t kAccessTexts = 5;
inline constexpr std::array<uint16_t, kAccessTexts> kAccessTextMax = {1024, 256, 128, 512, 256};
inline constexpr uint32_t kAccessTextsMax = 1024 + 256 + 128 + 512 + 256;

// What of a request has to be kept until it ends, because the buffer it came in does not stay. One per exchange slot of a
// worker whose listeners log.
struct AccessNote {
  std::array<uint16_t, kAccessTexts> sizes;
  uint16_t size;      // of all texts
  uint8_t truncated;  // bit by AccessText
  char text[kAccessTextsMax];
};

inline constexpr uint32_t kNever = ~0u;  // a duration of what did not happen

struct AccessRecord {
  uint64_t start_us;  // of Io::NowUs: the request's head was complete, or the TCP session began
  uint64_t end_us;
  uint32_t queue_us;     // from the start to the choice of the last endpoint; kNever: none was chosen
  uint32_t connect_us;   // from there to the connection, 0 for a pooled one
  uint32_t response_us;  // from the choice to the first byte of the response
  uint32_t head_bytes_sent;  // of `bytes_sent`, what is not body
  uint64_t bytes_received;   // from the client: head and body, or stream
  uint64_t bytes_sent;       // to the client
  ServiceHandle service;
  EndpointHandle endpoint;   // the last one that was tried
  IpAddress client;
  uint16_t listener;
  uint16_t status;           // 0: nothing was answered
  End end;
  uint8_t attempts;
  bool tcp;
  bool reused;               // the upstream came from the pool
  uint8_t truncated;
  std::array<uint16_t, kAccessTexts> sizes;
};

inline constexpr uint32_t kAccessRecordMax = sizeof(AccessRecord) + kAccessTextsMax;

}  // namespace ringway::dp
