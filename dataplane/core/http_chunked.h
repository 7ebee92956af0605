// The chunked transfer coding (RFC 9112 section 7.1), checked while it passes: where a body ends,
// and that every recipient reads it the same way. Resumable at any byte; one scanner per message
// and direction, owned by the exchange, 16 bytes; no allocation. Constant time per chunk for the
// data part, linear in the framing.
//
// Bounds: 16 hexadecimal digits and 2^62 bytes a chunk, kChunkExtensionBytesMax of extensions a
// chunk, kTrailerBytesMax of trailer section. Strict: CRLF only, no white space around the size, no
// folded trailers.
#pragma once

#include <cstdint>

namespace ringway::dp {

inline constexpr uint32_t kChunkDigitsMax = 16;
inline constexpr uint64_t kChunkBytesMax = uint64_t{1} << 62;
inline constexpr uint32_t kChunkExtensionBytesMax = 256;
inline constexpr uint32_t kTrailerBytesMax = 8192;

class ChunkScanner {
 public:
  enum class Result : uint8_t {
    kMore,  // everything is consumed, and the body goes on
    kDone,  // the body ended after `consumed` bytes; what follows is the next message
    kBad,   // the byte at `consumed` breaks the coding: close, after forwarding nothing more
  };

  // `consumed`: bytes of [data, data + size) that belong to the body, with framing and trailers.
  // After kDone or kBad every further call says the same and consumes nothing; a new message takes
  // a new scanner.
  Result Scan(const char* data, uint32_t size, uint32_t& consumed);

  // The same, and moves the payload to the front of `data` for receivers that know no chunks
  // (HTTP/1.0): `payload` bytes are left there, framing and trailers are dropped.
  Result Strip(char* data, uint32_t size, uint32_t& consumed, uint32_t& payload);

 private:
  enum class State : uint8_t {
    kSizeFirst,
    kSize,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerFirst,
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kEndLf,
    kDone,
    kBad,
  };

  template <typename OnData>
  Result Run(const char* data, uint32_t size, uint32_t& consumed, OnData&& on_data);
  bool Step(char c);
  bool StepSize(char c);
  bool StepTrailer(char c);
  bool StepTrailerName(char c);

  uint64_t left_ = 0;  // bytes of the current chunk's data; while reading a size, its value so far
  uint16_t trailer_bytes_ = 0;  // of the trailer section so far
  uint16_t line_bytes_ =
      0;  // digits of the size, bytes of the extension, or bytes of the trailer's name so far
  uint16_t forbidden_ =
      0;  // one bit for each forbidden trailer name that the name still is a prefix of
  State state_ = State::kSizeFirst;
};
static_assert(sizeof(ChunkScanner) <= 16);

}  // namespace ringway::dp
