// Slab: slots come back, their generations tell old tags from new ones, and a full slab says so.
#include "dataplane/core/slab.h"

#include <gtest/gtest.h>

#include <set>

namespace ringway::dp {
namespace {

struct Item {
  uint32_t generation = 0;
  uint32_t next_free = 0;
  int value = 42;
};

TEST(Slab, HandsOutEverySlotOnceAndThenNone) {
  Slab<Item> slab(4);
  std::set<uint32_t> slots;
  for (int i = 0; i < 4; ++i) slots.insert(slab.Allocate());
  EXPECT_EQ(slots.size(), 4u);
  EXPECT_EQ(slab.Allocate(), Slab<Item>::kNone);
  EXPECT_EQ(slab.in_use(), 4u);
}

TEST(Slab, FreedSlotComesBackFreshWithAnotherGeneration) {
  Slab<Item> slab(1);
  const uint32_t slot = slab.Allocate();
  const uint32_t generation = slab[slot].generation;
  slab[slot].value = 7;
  slab.Free(slot);
  EXPECT_NE(slab[slot].generation, generation);  // a late completion's tag is stale from here on
  EXPECT_EQ(slab.Allocate(), slot);
  EXPECT_NE(slab[slot].generation, generation);
  EXPECT_EQ(slab[slot].value, 42);
}

TEST(Slab, GenerationStaysWithinATag) {
  Slab<Item> slab(1);
  const uint32_t slot = slab.Allocate();
  slab[slot].generation = 0xffffff;
  slab.Free(slot);
  EXPECT_EQ(slab[slab.Allocate()].generation, 0u);
}

TEST(Slab, HighWaterBoundsWhatWasEverUsed) {
  Slab<Item> slab(100);
  const uint32_t a = slab.Allocate();
  slab.Allocate();
  slab.Free(a);
  slab.Allocate();
  EXPECT_EQ(slab.high_water(), 2u);
  EXPECT_EQ(slab.in_use(), 2u);
}

}  // namespace
}  // namespace ringway::dp
