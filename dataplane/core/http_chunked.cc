// Scanning of chunked bodies: a byte at a time through framing, by arithmetic over data.
// See http_chunked.h.
#include "dataplane/core/http_chunked.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "dataplane/core/http_token.h"

namespace ringway::dp {
namespace {

// Fields that frame, route, or hold for one hop only. A recipient that merges trailers into the
// header would act on them, and here they cannot be cut any more (RFC 9110 section 6.5.1).
constexpr std::string_view kForbiddenTrailers[] = {"content-length",
                                                   "transfer-encoding",
                                                   "host",
                                                   "connection",
                                                   "keep-alive",
                                                   "proxy-connection",
                                                   "te",
                                                   "trailer",
                                                   "upgrade",
                                                   "expect",
                                                   "authorization",
                                                   "content-encoding",
                                                   "content-range",
                                                   "x-forwarded-for",
                                                   "x-forwarded-proto",
                                                   "x-forwarded-port"};
static_assert(std::size(kForbiddenTrailers) == 16);  // the bits of forbidden_

uint64_t HexValue(char c) {
  return static_cast<uint64_t>(http::IsDigit(c) ? c - '0' : http::Lower(c) - 'a' + 10);
}

}  // namespace

template <typename OnData>
ChunkScanner::Result ChunkScanner::Run(const char* data, uint32_t size, uint32_t& consumed,
                                       OnData&& on_data) {
  uint32_t at = 0;
  while (at != size && state_ != State::kDone && state_ != State::kBad) {
    if (state_ == State::kData) {
      const auto bytes = static_cast<uint32_t>(std::min<uint64_t>(left_, size - at));
      on_data(at, bytes);
      at += bytes;
      left_ -= bytes;
      if (left_ == 0) state_ = State::kDataCr;
    } else if (Step(data[at])) {
      ++at;
    } else {
      state_ = State::kBad;
    }
  }
  consumed = at;
  if (state_ == State::kDone) return Result::kDone;
  return state_ == State::kBad ? Result::kBad : Result::kMore;
}

ChunkScanner::Result ChunkScanner::Scan(const char* data, uint32_t size, uint32_t& consumed) {
  return Run(data, size, consumed, [](uint32_t, uint32_t) {});
}

ChunkScanner::Result ChunkScanner::Strip(char* data, uint32_t size, uint32_t& consumed,
                                         uint32_t& payload) {
  payload = 0;
  return Run(data, size, consumed, [data, &payload](uint32_t at, uint32_t bytes) {
    std::memmove(data + payload, data + at, bytes);
    payload += bytes;
  });
}

bool ChunkScanner::Step(char c) {
  const auto expect = [&](char wanted, State next) {
    state_ = next;
    return c == wanted;
  };
  switch (state_) {
    case State::kSizeFirst:
    case State::kSize:
      return StepSize(c);
    case State::kExtension:
      if (c == '\r') return line_bytes_ > 1 && expect('\r', State::kSizeLf);
      return ++line_bytes_ <= kChunkExtensionBytesMax && !http::Has(c, http::kControl);
    case State::kSizeLf:
      return expect('\n', left_ == 0 ? State::kTrailerFirst : State::kData);
    case State::kDataCr:
      return expect('\r', State::kDataLf);
    case State::kDataLf:
      return expect('\n', State::kSizeFirst);
    default:
      return ++trailer_bytes_ <= kTrailerBytesMax && StepTrailer(c);
  }
}

bool ChunkScanner::StepSize(char c) {
  if (state_ == State::kSizeFirst) {
    left_ = 0;
    line_bytes_ = 0;
    if (!http::Has(c, http::kHexDigit)) return false;
    state_ = State::kSize;
  }
  if (http::Has(c, http::kHexDigit)) {
    left_ = left_ * 16 + HexValue(c);  // fewer than 2^60 before the sixteenth digit: no overflow
    return ++line_bytes_ <= kChunkDigitsMax && left_ <= kChunkBytesMax;
  }
  line_bytes_ = 1;
  state_ = c == ';' ? State::kExtension : State::kSizeLf;
  return c == ';' || c == '\r';
}

bool ChunkScanner::StepTrailer(char c) {
  switch (state_) {
    case State::kTrailerFirst:
      if (c == '\r') {
        state_ = State::kEndLf;
        return true;
      }
      line_bytes_ = 0;
      forbidden_ = 0xffff;
      state_ = State::kTrailerName;
      return http::Has(c, http::kToken) && StepTrailerName(c);
    case State::kTrailerName:
      return StepTrailerName(c);
    case State::kTrailerValue:
      if (c == '\r') state_ = State::kTrailerLf;
      return c == '\r' || !http::Has(c, http::kControl);
    case State::kTrailerLf:
      state_ = State::kTrailerFirst;
      return c == '\n';
    case State::kEndLf:
      state_ = State::kDone;
      return c == '\n';
    default:
      return false;
  }
}

// Keeps in forbidden_ those names that begin with what has come of this one.
bool ChunkScanner::StepTrailerName(char c) {
  const bool colon = c == ':';
  if (!colon && !http::Has(c, http::kToken)) return false;
  for (size_t i = 0; i < std::size(kForbiddenTrailers); ++i) {
    const std::string_view name = kForbiddenTrailers[i];
    const auto bit = static_cast<uint16_t>(1u << i);
    if ((forbidden_ & bit) == 0) continue;
    if (colon && name.size() == line_bytes_) return false;
    if (line_bytes_ >= name.size() || name[line_bytes_] != http::Lower(c)) forbidden_ &= ~bit;
  }
  ++line_bytes_;
  if (colon) state_ = State::kTrailerValue;
  return true;
}

}  // namespace ringway::dp
