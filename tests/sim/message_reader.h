// Reads one HTTP/1 message at a time, as clients and endpoints of the simulation do: an implementation of its own, so that an
// error of the parser under test does not agree with itself. What the proxy sends must be valid: anything else ends the run.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/sim/content.h"

namespace ringway::sim {

class MessageReader {
 public:
  enum class Framing : uint8_t { kNone, kLength, kChunked, kUntilClose };

  void Start(bool response);
  // Takes bytes up to the end of the head, and in the next call up to the end of the message.
  size_t Feed(const char* data, size_t size);
  // Between head and body. A response to HEAD has none.
  void ExpectContent(uint64_t key) { content_ = Content(key); check_ = true; }
  void NoBody();
  // The stream ended: completes a body that lasts until then.
  void End();

  // What has come of a head that is not whole.
  const std::string& partial() const { return text_; }
  bool begun() const { return begun_; }
  bool head_done() const { return head_done_; }
  bool done() const { return done_; }
  Framing framing() const { return framing_; }
  uint64_t body_size() const { return body_size_; }
  uint64_t length() const { return length_; }
  int status() const { return status_; }
  int minor() const { return minor_; }
  const std::string& method() const { return method_; }
  const std::string& target() const { return target_; }
  // Values of all fields of this name (lower case).
  std::vector<std::string> All(std::string_view name) const;
  std::string One(std::string_view name) const;  // empty when there is none
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  enum class Chunk : uint8_t { kSize, kData, kDataEnd, kTrailer };
  void ParseHead();
  void Frame();
  void Body(const char* data, size_t size);
  size_t FeedChunked(const char* data, size_t size);
  void ChunkLine();

  bool response_ = false, begun_ = false, head_done_ = false, done_ = false, check_ = false;
  std::string text_;  // the head, or a line of the chunked coding
  int status_ = 0, minor_ = 1;
  std::string method_, target_;
  std::vector<std::pair<std::string, std::string>> fields_;
  Framing framing_ = Framing::kNone;
  Chunk chunk_ = Chunk::kSize;
  uint64_t left_ = 0, body_size_ = 0, length_ = 0;
  Content content_;
};

}  // namespace ringway::sim
