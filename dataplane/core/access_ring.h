// Records on their way from one worker to the access log's thread: a ring of bytes with one writer and one reader, in memory
// that is given to it. Neither waits for the other: when it is full the writer is told, and drops.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>

#include "dataplane/core/access_record.h"

namespace ringway::dp {

class AccessRing {
 public:
  // `capacity` is a power of two; `memory` is aligned to 8 bytes and outlives the ring.
  AccessRing(char* memory, uint32_t capacity) : memory_(memory), capacity_(capacity) {}
  AccessRing(const AccessRing&) = delete;
  AccessRing& operator=(const AccessRing&) = delete;

  // A record that may take up to half of the capacity finds room in an empty ring wherever that stands; a larger one would at some
  // places, and at others never, so it is refused at all of them.
  static constexpr bool Holds(uint32_t capacity, uint32_t size) { return Rounded(size) <= capacity / 2; }

  // The writer: room for `size` bytes in one piece, or null. Then Commit what Reserve gave.
  char* Reserve(uint32_t size) {
    if (!Holds(capacity_, size)) [[unlikely]] return nullptr;
    const uint32_t wanted = Rounded(size);
    const uint32_t at = static_cast<uint32_t>(head_) & (capacity_ - 1);
    const uint32_t to_end = capacity_ - at;
    skipped_ = wanted <= to_end ? 0 : to_end;
    if (head_ + skipped_ + wanted - tail_seen_ > capacity_) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head_ + skipped_ + wanted - tail_seen_ > capacity_) return nullptr;
    }
    if (skipped_ != 0) {
      std::memcpy(memory_ + at, &kSkip, sizeof kSkip);
      return memory_ + kPrefix;
    }
    return memory_ + at + kPrefix;
  }
  void Commit(uint32_t size) {
    const uint32_t at = static_cast<uint32_t>(head_ + skipped_) & (capacity_ - 1);
    std::memcpy(memory_ + at, &size, sizeof size);
    head_ += skipped_ + Rounded(size);
    published_.store(head_, std::memory_order_release);
  }

  // The reader: the oldest record, or null. It stays until Pop.
  const char* Front(uint32_t& size) {
    if (tail_next_ == published_seen_) published_seen_ = published_.load(std::memory_order_acquire);
    if (tail_next_ == published_seen_) return nullptr;
    uint32_t at = static_cast<uint32_t>(tail_next_) & (capacity_ - 1);
    std::memcpy(&size, memory_ + at, sizeof size);
    if (size == kSkip) {
      tail_next_ += capacity_ - at;
      at = 0;
      std::memcpy(&size, memory_, sizeof size);
    }
    return memory_ + at + kPrefix;
  }
  void Pop(uint32_t size) {
    tail_next_ += Rounded(size);
    tail_.store(tail_next_, std::memory_order_release);
  }

 private:
  static constexpr uint32_t kPrefix = 8;  // a record's size stands before it
  static constexpr uint32_t kSkip = ~0u;  // the rest of the memory up to its end is not used
  static constexpr uint32_t Rounded(uint32_t size) { return (size + kPrefix + 7) & ~7u; }

  char* const memory_;
  const uint32_t capacity_;
  // The writer's.
  alignas(64) uint64_t head_ = 0;
  uint64_t tail_seen_ = 0;
  uint32_t skipped_ = 0;
  std::atomic<uint64_t> published_{0};
  // The reader's.
  alignas(64) uint64_t tail_next_ = 0;
  uint64_t published_seen_ = 0;
  std::atomic<uint64_t> tail_{0};
};

// What a worker needs to log: made by the access log when a listener logs for the first time, and there until the end.
struct AccessPort {
  AccessPort(char* memory, uint32_t capacity, AccessNote* notes_by_exchange) : ring(memory, capacity), notes(notes_by_exchange) {}
  AccessRing ring;
  AccessNote* const notes;  // one for each exchange slot
};

}  // namespace ringway::dp
