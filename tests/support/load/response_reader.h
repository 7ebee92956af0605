// Takes the bytes of one HTTP/1.1 response as they come and says when it is complete. Keeps the head and a digest of
// the body, never the body. RFC 9112, section 6: length, chunked, or until the connection closes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/load/digest.h"

namespace ringway::load {

class ResponseReader {
 public:
  // False when the bytes are no response; see problem(). Bytes after a complete response are a problem too: nothing
  // here pipelines.
  bool Append(std::string_view bytes);
  // The peer has closed. True when that completes the response.
  bool OnClosed();

  bool started() const { return bytes_ > 0; }
  bool done() const { return state_ == State::kDone; }
  bool keep_alive() const { return keep_alive_; }
  int status() const { return status_; }
  size_t body_bytes() const { return body_bytes_; }
  uint64_t bytes() const { return bytes_; }
  const std::string& problem() const { return problem_; }
  // `name` in lower case.
  const std::string* Header(std::string_view name) const;
  // Once, when done.
  std::string BodyDigest() { return digest_.Hex(); }

 private:
  enum class State { kHead, kLength, kUntilClose, kChunkSize, kChunkData, kChunkEnd, kTrailers, kDone };
  bool Fail(std::string problem);
  bool ParseHead();
  bool ParseStatusLine(std::string_view line);
  bool ParseHeader(std::string_view line);
  bool ChooseFraming();
  bool OnLine();
  void TakeBody(std::string_view& bytes);

  State state_ = State::kHead;
  std::string text_;  // head, or a line of chunked coding, as far as it has come
  int status_ = 0;
  bool keep_alive_ = true;
  uint64_t left_ = 0;  // of the body, or of the chunk
  uint64_t bytes_ = 0;
  size_t body_bytes_ = 0;
  std::vector<std::pair<std::string, std::string>> headers_;
  Digest digest_;
  std::string problem_;
};

}  // namespace ringway::load
