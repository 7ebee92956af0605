// See buffer_memory.h. mmap(2), madvise(2), Documentation/admin-guide/mm/hugetlbpage.rst.
#include "dataplane/uring/buffer_memory.h"

#include <sys/mman.h>

namespace ringway::dp {
namespace {

constexpr size_t kHugePage = 2u << 20;
constexpr int kAccess = PROT_READ | PROT_WRITE;
constexpr int kKind = MAP_PRIVATE | MAP_ANONYMOUS;

char* Map(size_t size, int more) {
  void* memory = mmap(nullptr, size, kAccess, kKind | more, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
}

}  // namespace

BufferMemory MapBuffers(size_t size, bool huge_pages) {
  if (!huge_pages) return {Map(size, 0), size, Pages::kSmall};
  const size_t rounded = (size + kHugePage - 1) & ~(kHugePage - 1);
  if (char* data = Map(rounded, MAP_HUGETLB)) return {data, rounded, Pages::kHuge};
  char* data = Map(rounded, 0);
  const bool advised = data != nullptr && madvise(data, rounded, MADV_HUGEPAGE) == 0;
  return {data, rounded, advised ? Pages::kAdvised : Pages::kSmall};
}

}  // namespace ringway::dp
