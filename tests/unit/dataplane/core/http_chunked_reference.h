// The chunked coding once more, slow and obvious: whole text at once, one rule a line, so that it
// can be compared with RFC 9112 section 7.1 by eye. Tests and fuzz targets hold the scanner against
// it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dataplane/core/http_chunked.h"

namespace ringway::dp::test {

struct ChunkedOutcome {
  ChunkScanner::Result result = ChunkScanner::Result::kMore;
  size_t consumed = 0;
  std::string payload;
  bool operator==(const ChunkedOutcome&) const = default;
};

class ChunkedReference {
 public:
  explicit ChunkedReference(std::string_view text) : text_(text) {}

  ChunkedOutcome Read() {
    while (ReadChunk()) {
    }
    out_.consumed = at_;
    return out_;
  }

 private:
  static constexpr std::string_view kHex = "0123456789abcdefABCDEF";
  static constexpr std::string_view kTchars =
      "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

  static bool Among(char c, std::string_view set) { return set.find(c) != set.npos; }
  static bool InValue(char c) {
    return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  }

  bool Bad() {
    out_.result = ChunkScanner::Result::kBad;
    return false;
  }
  bool Expect(char c) {  // false at the end of the text too, which leaves kMore
    if (at_ == text_.size()) return false;
    if (text_[at_] != c) return Bad();
    ++at_;
    return true;
  }

  bool ReadChunk() {
    uint64_t size = 0;
    if (!ReadSize(size) || !ReadExtension() || !Expect('\r') || !Expect('\n')) return false;
    if (size == 0) return ReadTrailers();
    const std::string_view data = text_.substr(at_, size);
    out_.payload += data;
    at_ += data.size();
    return data.size() == size && Expect('\r') && Expect('\n');
  }

  bool ReadSize(uint64_t& size) {
    int digits = 0;
    for (; at_ < text_.size() && Among(text_[at_], kHex); ++at_, ++digits) {
      const uint64_t value = std::stoull(std::string(1, text_[at_]), nullptr, 16);
      if (digits == 16 || size * 16 + value > (uint64_t{1} << 62)) return Bad();
      size = size * 16 + value;
    }
    if (at_ == text_.size()) return false;
    return digits != 0 || Bad();
  }

  bool ReadExtension() {
    if (text_[at_] != ';') return text_[at_] == '\r' || Bad();
    const size_t from = at_++;
    for (; at_ < text_.size() && InValue(text_[at_]); ++at_) {
      if (at_ - from == kChunkExtensionBytesMax) return Bad();
    }
    if (at_ == text_.size()) return false;
    return (text_[at_] == '\r' && at_ > from + 1) || Bad();
  }

  bool ReadTrailers() {  // false in every case: nothing comes after them
    const size_t from = at_;
    while (at_ < text_.size() && text_[at_] != '\r') {
      const size_t begin = at_;
      while (at_ < text_.size() && Among(text_[at_], kTchars)) ++at_;
      if (Over(from)) return Bad();
      if (at_ == text_.size()) return false;
      if (text_[at_] != ':' || at_ == begin) return Bad();
      if (Forbidden(text_.substr(begin, at_ - begin))) return Bad();
      while (at_ < text_.size() && InValue(text_[at_])) ++at_;
      if (Over(from)) return Bad();
      if (!Expect('\r') || !Expect('\n')) return Over(from) && Bad();
      if (Over(from)) return Bad();
    }
    if (!Expect('\r') || !Expect('\n')) return Over(from) && Bad();
    if (Over(from)) return Bad();
    out_.result = ChunkScanner::Result::kDone;
    return false;
  }

  // Where the section is longer than it may be, the first byte too many is the bad one.
  bool Over(size_t from) {
    if (at_ - from <= kTrailerBytesMax) return false;
    at_ = from + kTrailerBytesMax;
    return true;
  }

  static bool Forbidden(std::string_view name) {
    std::string lower;
    for (const char c : name) lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    for (const std::string_view forbidden :
         {"content-length", "transfer-encoding", "host", "connection", "keep-alive",
          "proxy-connection", "te", "trailer", "upgrade", "expect", "authorization",
          "content-encoding", "content-range", "x-forwarded-for", "x-forwarded-proto",
          "x-forwarded-port"}) {
      if (lower == forbidden) return true;
    }
    return false;
  }

  std::string_view text_;
  size_t at_ = 0;
  ChunkedOutcome out_;
};

inline ChunkedOutcome ReferenceChunked(std::string_view text) {
  return ChunkedReference(text).Read();
}

}  // namespace ringway::dp::test
