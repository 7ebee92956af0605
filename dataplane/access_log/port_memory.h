// The memory of one worker's access port: its ring and its notes, mapped once and touched only as far as it is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "dataplane/core/access_ring.h"

namespace ringway::dp {

// At 100,000 requests a second of 400 bytes each, a tenth of a second.
inline constexpr uint32_t kAccessRingBytes = 4u << 20;
static_assert(AccessRing::Holds(kAccessRingBytes, kAccessRecordMax));

class PortMemory {
 public:
  static absl::StatusOr<std::unique_ptr<PortMemory>> Make(uint32_t exchanges, uint32_t ring_bytes = kAccessRingBytes);
  ~PortMemory();
  PortMemory(const PortMemory&) = delete;
  PortMemory& operator=(const PortMemory&) = delete;
  AccessPort& port() { return port_; }

 private:
  PortMemory(char* memory, size_t size, uint32_t ring_bytes);
  char* const memory_;
  const size_t size_;
  AccessPort port_;
};

}  // namespace ringway::dp
