// Framing on the feed socket: four bytes of length, big endian, then that many bytes of JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace ringway::api {

inline constexpr size_t kFrameBytesMax = 256u << 20;

std::string Frame(std::string_view payload);

// Collects bytes and gives out whole payloads. One reader for one connection.
class FrameReader {
 public:
  void Append(std::string_view bytes);
  // The next whole payload, nullopt when more bytes are needed, OutOfRange when a length exceeds kFrameBytesMax.
  absl::StatusOr<std::optional<std::string>> Next();

 private:
  std::string pending_;
  size_t read_ = 0;
};

}  // namespace ringway::api
