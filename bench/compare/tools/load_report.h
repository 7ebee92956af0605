// What a run has counted, and its JSON. Times in nanoseconds of CLOCK_MONOTONIC.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "bench/compare/tools/histogram.h"

namespace ringway::bench {

enum class Failure : uint8_t {
  kRefused,    // ECONNREFUSED
  kConnect,    // no connection for another reason
  kReset,      // ECONNRESET or EPIPE while a request was under way
  kClosed,     // the peer closed before a byte of the answer
  kLength,     // closed in the middle of the answer, or an answer of another length than wanted
  kStatus,     // not 2xx
  kMalformed,  // no HTTP/1.1 response, or bytes behind it
  kTimeout,    // no answer within --timeout
  kUnsent,     // --rate: due, and not sent by --timeout after the end
  kIdleClosed, // an idle connection was closed by the peer
  kOther,
};
inline constexpr size_t kFailures = static_cast<size_t>(Failure::kOther) + 1;

const char* NameOf(Failure failure);

struct LoadReport {
  std::array<uint64_t, kFailures> failures{};
  uint64_t bytes = 0;       // received while it was measured
  Histogram latency;        // of each counted request
  Histogram late;           // --rate: by how much this program itself sent a request after it was due, with a connection free
  double seconds = 0;
  uint64_t cpu_ns = 0;      // of this process while it was measured
  uint64_t connections_opened = 0;
  std::string watched;      // --watch: further members of the JSON

  uint64_t failed() const;
  std::string Json() const;
};

}  // namespace ringway::bench
