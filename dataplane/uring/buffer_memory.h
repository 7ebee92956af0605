// Memory of the receive buffers: ordinary pages, or huge ones where they are asked for and to be had.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringway::dp {

// kAdvised: MAP_HUGETLB was refused (vm.nr_hugepages has none free), the kernel was asked for transparent ones and may grant them.
enum class Pages : uint8_t { kSmall, kHuge, kAdvised };

struct BufferMemory {
  char* data = nullptr;  // null: errno says why
  size_t size = 0;       // as mapped: for munmap
  Pages pages = Pages::kSmall;
};

// Zeroed, and touched by nobody yet: each page comes from the memory node of the CPU that touches it first.
BufferMemory MapBuffers(size_t size, bool huge_pages);

}  // namespace ringway::dp
