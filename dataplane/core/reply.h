// Responses that Ringway gives itself. Written into the caller's memory; plain, cacheable by nobody.
#pragma once

#include <cstdint>

namespace ringway::dp {

inline constexpr uint32_t kReplyBytesMax = 512;

struct ReplyOptions {
  uint16_t status = 503;          // one of 400, 404, 408, 414, 431, 501, 502, 503, 504, 505
  bool keep_alive = false;        // else Connection: close
  bool head_only = false;         // the request was HEAD: no body bytes (RFC 9110 section 9.3.2)
  uint32_t retry_after_s = 0;     // Retry-After when not zero (RFC 9110 section 10.2.3)
};

// Returns the number of bytes written, at most kReplyBytesMax.
uint32_t WriteReply(const ReplyOptions& options, char* out);

// Of these, the bytes of the body.
uint32_t ReplyBodySize(const ReplyOptions& options);

}  // namespace ringway::dp
