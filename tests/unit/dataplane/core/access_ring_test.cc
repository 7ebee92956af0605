// The ring between a worker and the access log's thread: order, the end of its memory, fullness, two threads.
#include "dataplane/core/access_ring.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace ringway::dp {
namespace {

struct Ring {
  explicit Ring(uint32_t capacity) : memory(capacity / 8), ring(reinterpret_cast<char*>(memory.data()), capacity) {}
  bool Put(const std::string& text) {
    char* place = ring.Reserve(static_cast<uint32_t>(text.size()));
    if (place == nullptr) return false;
    std::memcpy(place, text.data(), text.size());
    ring.Commit(static_cast<uint32_t>(text.size()));
    return true;
  }
  std::string Take() {
    uint32_t size = 0;
    const char* data = ring.Front(size);
    if (data == nullptr) return "(none)";
    std::string text(data, size);
    ring.Pop(size);
    return text;
  }
  std::vector<uint64_t> memory;
  AccessRing ring;
};

// Its length and content say which it is.
std::string Numbered(uint64_t i) { return std::to_string(i) + std::string(i * 7 % 90, static_cast<char>('a' + i % 26)); }

TEST(AccessRing, GivesBackWhatCameInOrder) {
  Ring ring(256);
  EXPECT_EQ(ring.Take(), "(none)");
  EXPECT_TRUE(ring.Put("one"));
  EXPECT_TRUE(ring.Put(""));
  EXPECT_TRUE(ring.Put("three"));
  EXPECT_EQ(ring.Take(), "one");
  EXPECT_EQ(ring.Take(), "");
  EXPECT_EQ(ring.Take(), "three");
  EXPECT_EQ(ring.Take(), "(none)");
}

TEST(AccessRing, RecordsNeverLieAcrossTheEnd) {
  Ring ring(256);
  uint64_t put = 0, taken = 0;
  for (int round = 0; round < 5000; ++round) {
    while (ring.Put(Numbered(put))) ++put;
    for (int i = 0; i < 1 + round % 3 && taken < put; ++i) EXPECT_EQ(ring.Take(), Numbered(taken++));
  }
  EXPECT_GT(put, 5000u);
}

TEST(AccessRing, FullIsToldAndLosesNothingThatIsIn) {
  Ring ring(128);
  int in = 0;
  while (ring.Put("sixteen bytes ..")) ++in;
  EXPECT_EQ(in, 5);  // 24 bytes each
  EXPECT_FALSE(ring.Put("sixteen bytes .."));
  EXPECT_EQ(ring.Take(), "sixteen bytes ..");
  EXPECT_TRUE(ring.Put("another 16 bytes"));
  EXPECT_FALSE(ring.Put("another 16 bytes"));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ring.Take(), "sixteen bytes ..");
  EXPECT_EQ(ring.Take(), "another 16 bytes");
}

TEST(AccessRing, WhatNeverFitsIsRefusedForEver) {
  Ring ring(128);
  EXPECT_FALSE(ring.Put(std::string(128, 'x')));
  EXPECT_TRUE(ring.Put("small"));
  EXPECT_EQ(ring.Take(), "small");
  EXPECT_FALSE(ring.Put(std::string(128, 'x')));
}

TEST(AccessRing, MoreThanHalfIsRefusedWhereverTheRingStands) {
  Ring ring(128);
  const std::string half(56, 'h'), more(57, 'm');  // 64 and 72 bytes in the ring
  for (int place = 0; place < 16; ++place) {
    EXPECT_FALSE(ring.Put(more)) << place;
    EXPECT_TRUE(ring.Put(half)) << place;
    EXPECT_EQ(ring.Take(), half);
    EXPECT_TRUE(ring.Put(""));  // one place further
    EXPECT_EQ(ring.Take(), "");
  }
}

TEST(AccessRing, AWriterAndAReaderAtTheSameTime) {
  Ring ring(1024);
  constexpr uint64_t kCount = 200000;
  std::thread writer([&] {
    for (uint64_t i = 0; i < kCount; ++i) {
      while (!ring.Put(Numbered(i))) std::this_thread::yield();
    }
  });
  for (uint64_t i = 0; i < kCount;) {
    const std::string text = ring.Take();
    if (text == "(none)") std::this_thread::yield();
    else ASSERT_EQ(text, Numbered(i++));
  }
  writer.join();
}

}  // namespace
}  // namespace ringway::dp
