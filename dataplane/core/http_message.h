// What request and response heads have in common besides their fields: how much of the input is looked at, and the version.
// Header only, for inlining into the two head parsers; pure functions, any thread.
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>

#include "dataplane/core/http_head.h"
#include "dataplane/core/http_scan.h"
#include "dataplane/core/http_token.h"

namespace ringway::dp::http {

inline Span ToSpan(const Input& in, std::string_view text) {
  return Span{static_cast<uint32_t>(text.data() - in.begin), static_cast<uint32_t>(text.size())};
}

inline uint32_t ToOffset(const Input& in, const char* p) { return static_cast<uint32_t>(p - in.begin); }

inline std::string_view Between(const char* from, const char* to) {
  return std::string_view(from, static_cast<size_t>(to - from));
}

// Matches [p, in.end) against `pattern`, in which "0" stands for any digit. kBad at the first
// byte that differs; kIncomplete when the input ends before the pattern does.
inline HeadError Match(const Input& in, const char* p, std::string_view pattern) {
  for (const char expected : pattern) {
    if (p == in.end) return HeadError::kIncomplete;
    if (expected == '0' ? !IsDigit(*p) : *p != expected) return HeadError::kBad;
    ++p;
  }
  return HeadError::kNone;
}

// Eight bytes at p are "HTTP/1.0" or "HTTP/1.1". If not, Match finds out what is wrong.
inline bool IsVersion(const char* p) {
  uint64_t version, either;
  std::memcpy(&version, p, sizeof version);
  std::memcpy(&either, "HTTP/1.1", sizeof either);
  uint64_t last_bit = 0;  // in which "0" and "1" differ
  std::memcpy(&last_bit, "\0\0\0\0\0\0\0\1", sizeof last_bit);
  return (version | last_bit) == either;
}

// Whether it is worth to parse: false when the bytes from `scanned` on neither end the head nor
// hold a control byte that cannot be in one. The last bytes before are looked at again, because
// an end may have begun there.
[[gnu::noinline]] inline bool MayBeDecided(const Input in, uint32_t scanned) {
  const char* p = in.begin + (scanned > 3 ? scanned - 3 : 0);
  if (p != in.begin && *p == '\n') --p;
  while ((p = Find<ControlStop>(in, p)) != in.end) {
    if (*p != '\r') return true;
    if (p + 1 == in.end) return false;
    if (p[1] != '\n') return true;
    p += 2;
    if (in.end - p >= 2 && p[0] == '\r' && p[1] == '\n') return true;
  }
  return false;
}

// A head that is being parsed, or was when fewer of its bytes had come: at most `bytes_max` of them are looked at. Keeps the
// promise that `scanned` makes.
class Attempt {
 public:
  Attempt(const char* data, uint32_t size, uint32_t bytes_max, uint32_t& scanned)
      : in_{data, data + std::min(size, bytes_max)}, full_(size >= bytes_max), scanned_(scanned) {}

  Input in() const { return in_; }
  // False: nothing has come that could decide anything, and Incomplete() is the answer.
  bool worthwhile() const {
    return scanned_ == 0 || scanned_ > ToOffset(in_, in_.end) || full_ || MayBeDecided(in_, scanned_);
  }
  HeadError Incomplete() {
    scanned_ = ToOffset(in_, in_.end);
    return full_ ? HeadError::kTooLarge : HeadError::kIncomplete;
  }

 private:
  const Input in_;
  const bool full_;
  uint32_t& scanned_;
};

}  // namespace ringway::dp::http
