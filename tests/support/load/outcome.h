// How one request ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace ringway::load {

// An empty failure means well.
struct Outcome {
  std::string failure;  // "connect_refused", "connect_failed", "reset", "closed", "short_body", "wrong_checksum", "bad_response",
                        // "timeout", "status", "client_limit"
  std::string detail;
  std::string endpoint;
  std::string retry_after;  // the response's header
  int status = 0;
  uint32_t races = 0;  // keep-alive connections that the server closed under this request
  std::chrono::steady_clock::time_point sent_at;  // when its last attempt began
  uint64_t bytes_sent = 0;
  uint64_t bytes_received = 0;
};

}  // namespace ringway::load
