// See port_memory.h.
#include "dataplane/access_log/port_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/status/status.h"

namespace ringway::dp {

absl::StatusOr<std::unique_ptr<PortMemory>> PortMemory::Make(uint32_t exchanges, uint32_t ring_bytes) {
  const size_t size = ring_bytes + sizeof(AccessNote) * size_t{exchanges};
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return absl::ResourceExhaustedError("mmap of " + std::to_string(size >> 20) + " MiB for the access log: " + std::strerror(errno));
  }
  madvise(memory, size, MADV_NOHUGEPAGE);  // one note would touch 2 MiB
  return std::unique_ptr<PortMemory>(new PortMemory(static_cast<char*>(memory), size, ring_bytes));
}

PortMemory::PortMemory(char* memory, size_t size, uint32_t ring_bytes)
    : memory_(memory), size_(size), port_(memory, ring_bytes, reinterpret_cast<AccessNote*>(memory + ring_bytes)) {}

PortMemory::~PortMemory() { munmap(memory_, size_); }

}  // namespace ringway::dp
