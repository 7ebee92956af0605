// Takes the bytes of one HTTP/1.1 response as they come, judges them by status and length, and says when it is complete.
// The dataplane's own strict parser reads heads and chunks; a head that equals the last one, byte for byte, is not parsed again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/core/http_chunked.h"
#include "dataplane/core/http_head.h"

namespace ringway::bench {

// The head most recently parsed, for all connections together.
class HeadCache {
 public:
  // Null: `error` says whether more bytes are needed or the head is none.
  const dp::ResponseHead* Parse(std::string_view bytes, dp::HeadError& error);

 private:
  std::string bytes_;
  dp::ResponseHead head_;
};

class ResponseReader {
 public:
  enum class Result : uint8_t { kMore, kDone, kMalformed };

  // For the next response. `length`: of its body, when it is known what it must be.
  void Start(std::optional<uint64_t> length);
  Result Take(HeadCache& cache, char* data, uint32_t size);
  // The peer has closed: true when that ends the response.
  bool OnClosed() const { return state_ == State::kUntilClose; }

  // Bytes of the body still to come that may be dropped unread; for each dropped, Skip.
  uint64_t to_skip() const { return state_ == State::kLength ? left_ : 0; }
  Result Skip(uint64_t bytes);

  bool started() const { return started_; }
  bool keep_alive() const { return keep_alive_; }
  // Of a complete response.
  bool status_ok() const { return status_ >= 200 && status_ < 300; }
  bool length_ok() const { return !expected_ || *expected_ == body_bytes_; }

 private:
  enum class State : uint8_t { kHead, kLength, kChunked, kUntilClose, kDone };
  Result TakeHead(HeadCache& cache, char* data, uint32_t size);
  Result TakeBody(char* data, uint32_t size);
  Result TakeChunks(char* data, uint32_t size);

  State state_ = State::kHead;
  bool started_ = false;
  bool keep_alive_ = true;
  uint16_t status_ = 0;
  uint64_t left_ = 0;
  uint64_t body_bytes_ = 0;
  std::optional<uint64_t> expected_;
  dp::ChunkScanner chunks_;
  std::string partial_;  // of a head that came in pieces
};

}  // namespace ringway::bench
