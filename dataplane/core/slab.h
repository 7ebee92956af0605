// A fixed number of slots of one type, allocated once; memory of slots that were never used is never touched.
// One worker's; a slot's generation grows each time it is freed, so that a stale Tag is told from a live one.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

namespace ringway::dp {

// T has `uint32_t generation` and `uint32_t next_free`, both the slab's.
template <class T>
class Slab {
 public:
  static constexpr uint32_t kNone = ~0u;

  explicit Slab(uint32_t capacity)
      : capacity_(capacity),
        memory_(static_cast<T*>(::operator new(sizeof(T) * capacity, std::align_val_t{alignof(T)}))) {}
  ~Slab() { ::operator delete(memory_, std::align_val_t{alignof(T)}); }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  // kNone when full. The slot is a fresh T, except for its generation; members without initializer hold anything.
  uint32_t Allocate() {
    uint32_t slot = free_;
    uint32_t generation = 1;
    if (slot != kNone) {
      generation = memory_[slot].generation;
      free_ = memory_[slot].next_free;
    } else if (used_once_ < capacity_) {
      slot = used_once_++;
    } else {
      return kNone;
    }
    T* item = new (&memory_[slot]) T;  // default-initialized: large arrays stay as they are
    item->generation = generation;
    ++in_use_;
    return slot;
  }

  void Free(uint32_t slot) {
    memory_[slot].generation = (memory_[slot].generation + 1) & 0xffffffu;
    memory_[slot].next_free = free_;
    free_ = slot;
    --in_use_;
  }

  T& operator[](uint32_t slot) { return memory_[slot]; }
  const T& operator[](uint32_t slot) const { return memory_[slot]; }
  uint32_t in_use() const { return in_use_; }
  uint32_t capacity() const { return capacity_; }
  // Slots at or above were never handed out: an end for loops over all.
  uint32_t high_water() const { return used_once_; }

 private:
  static_assert(std::is_trivially_destructible_v<T>);
  const uint32_t capacity_;
  T* const memory_;
  uint32_t used_once_ = 0;
  uint32_t free_ = kNone;
  uint32_t in_use_ = 0;
};

}  // namespace ringway::dp
