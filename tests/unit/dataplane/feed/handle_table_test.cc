// Handles: stable while their identity is there, free again only when every worker has let go.
#include "dataplane/feed/handle_table.h"

#include <gtest/gtest.h>

namespace ringway::dp {
namespace {

struct Sweeper {
  bool quiet = true;
  std::vector<uint32_t> freed;
  void operator()(HandleTable& table, uint64_t map) {
    table.Sweep(map, [this](uint32_t) { return quiet; }, [this](uint32_t h) { freed.push_back(h); });
  }
};

TEST(HandleTable, KeepsTheHandleOfAnIdentity) {
  HandleTable table(4);
  const uint32_t a = table.Take("a"), b = table.Take("b");
  EXPECT_NE(a, b);
  EXPECT_EQ(table.Take("a"), a);
  EXPECT_EQ(*table.Find("b"), b);
  EXPECT_EQ(table.Find("c"), std::nullopt);
  EXPECT_EQ(table.available(), 2u);
}

TEST(HandleTable, FreesOnlyWhenEveryWorkerHasPassedAndAllIsQuietTwice) {
  HandleTable table(1);
  Sweeper sweep;
  const uint32_t a = table.Take("a");
  table.Leave(a, 5);
  EXPECT_EQ(table.Find("a"), std::nullopt);
  for (int i = 0; i < 5; ++i) sweep(table, 4);  // a worker still runs map 4
  EXPECT_TRUE(sweep.freed.empty());
  sweep.quiet = false;
  sweep(table, 5);
  sweep.quiet = true;
  sweep(table, 5);
  sweep.quiet = false;  // something moved between the two sweeps
  sweep(table, 5);
  sweep.quiet = true;
  sweep(table, 5);
  EXPECT_TRUE(sweep.freed.empty());
  EXPECT_EQ(table.available(), 0u);
  sweep(table, 5);
  EXPECT_EQ(sweep.freed, std::vector<uint32_t>{a});
  EXPECT_EQ(table.available(), 1u);
  EXPECT_EQ(table.Take("b"), a);
}

TEST(HandleTable, AnIdentityThatComesBackInTimeKeepsItsHandle) {
  HandleTable table(2);
  Sweeper sweep;
  const uint32_t a = table.Take("a");
  table.Leave(a, 2);
  sweep(table, 2);
  EXPECT_TRUE(table.Known("a"));
  EXPECT_EQ(table.Take("a"), a);
  sweep(table, 2);
  sweep(table, 2);
  EXPECT_TRUE(sweep.freed.empty());
  EXPECT_EQ(*table.Find("a"), a);
}

TEST(HandleTable, OneThatLeftForGoodComesBackAsAnother) {
  HandleTable table(2);
  Sweeper sweep;
  const uint32_t a = table.Take("a");
  table.LeaveForGood(a, 2);
  const uint32_t again = table.Take("a");
  EXPECT_NE(again, a);
  sweep(table, 2);
  sweep(table, 2);
  EXPECT_EQ(sweep.freed, std::vector<uint32_t>{a});
  EXPECT_EQ(*table.Find("a"), again);
}

}  // namespace
}  // namespace ringway::dp
