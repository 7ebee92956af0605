// What the origin needs to know of a request: which answer, how much body to swallow, whether to close.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringway::bench {

enum class AnswerKind : uint8_t { kLength, kChunked, kNotFound, kNotUnderstood };

// Also the key of an answer: equal means the same bytes.
struct Answer {
  AnswerKind kind = AnswerKind::kLength;
  bool close = false;
  bool body = true;  // not for HEAD
  uint64_t size = 2;
  bool operator==(const Answer&) const = default;
};

struct OriginRequest {
  size_t head_size = 0;      // with the empty line; 0: the head is not complete yet
  uint64_t body_size = 0;
  Answer answer;
};

inline constexpr uint64_t kAnswerBytesMax = 1000000000;

// `bytes` begin with a request. GET /b/N, /chunked/N, /close/N (N bytes, then the connection closes); a request with a body and
// one for / get 200 and 2 bytes; anything else 404. A head that is none, or a chunked request body: 400, then the connection closes.
OriginRequest ParseRequest(std::string_view bytes);

}  // namespace ringway::bench
