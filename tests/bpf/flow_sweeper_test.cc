// The sweep over the flow tables: real maps without programs; between two steps the test does what programs do to them.
#include "dataplane/kernel/flow_sweeper.h"

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <vector>

#include "dataplane/kernel/packet_maps.h"
#include "dataplane/kernel/pin_directory.h"

namespace ringway::dp {
namespace {

constexpr uint32_t kSlot = 3, kGeneration = 7;

class FlowSweep : public testing::Test {
 protected:
  FlowSweep() {
    fds_.flows = Map(BPF_MAP_TYPE_HASH);
    fds_.half_open = Map(BPF_MAP_TYPE_LRU_HASH);
    std::vector<l4_endpoint> records(L4_ENDPOINTS_MAX);
    records[kSlot].generation = kGeneration;
    records[kSlot].state = L4_READY;
    endpoints_.Restore(records, {}, {}, {});
  }
  ~FlowSweep() override {
    close(fds_.flows);
    close(fds_.half_open);
  }
  static int Map(bpf_map_type type, uint32_t entries = 1024) {
    return bpf_map_create(type, "l4_test", sizeof(l4_flow_key), sizeof(l4_flow), entries, nullptr);
  }

  static l4_flow_key Client(uint32_t number) {
    l4_flow_key key{};
    key.source[3] = number, key.dest[3] = 1000000, key.source_port = 3, key.dest_port = 4, key.protocol = 6;
    return key;
  }
  static l4_flow Flow(l4_state state, uint32_t idle) {
    l4_flow flow{};
    flow.source[3] = 2000000, flow.dest[3] = 3000000, flow.source_port = 13, flow.dest_port = 14;
    flow.endpoint = kSlot;
    flow.generation = kGeneration;
    flow.state = state;
    flow.flags = L4_FLOW_CLIENT | L4_FLOW_SINGLE;
    flow.tick = TickNow() - idle;
    return flow;
  }
  static void Put(int map, const l4_flow_key& key, const l4_flow& flow) { ASSERT_EQ(bpf_map_update_elem(map, &key, &flow, BPF_ANY), 0); }
  static bool Has(int map, const l4_flow_key& key) {
    l4_flow flow;
    return bpf_map_lookup_elem(map, &key, &flow) == 0;
  }
  void Round(FlowSweeper& sweeper) {
    now_ += std::chrono::seconds(2);
    for (int i = 0; i < 100; ++i) sweeper.Step(endpoints_, now_, false);
  }

  PacketMapFds fds_;
  PacketPlanner endpoints_;
  FlowSweeper::Clock::time_point now_ = FlowSweeper::Clock::now();
};

TEST_F(FlowSweep, CountsWhatIsOpenAndEndsWhatIsOver) {
  Put(fds_.flows, Client(1), Flow(L4_ESTABLISHED, 0));
  Put(fds_.half_open, Client(2), Flow(L4_SYN, 0));
  Put(fds_.flows, Client(3), Flow(L4_CLOSED, 7));  // 5 are its time; a machine just started has no hundred
  FlowSweeper sweeper(fds_);
  Round(sweeper);
  ASSERT_TRUE(sweeper.counted());
  EXPECT_EQ(sweeper.FlowsOf(kSlot), 2u);
  EXPECT_EQ(sweeper.swept(), 1u);
  EXPECT_FALSE(Has(fds_.flows, Client(3)));
}

TEST_F(FlowSweep, ARoundThatCouldNotBeFinishedIsNoCount) {
  Put(fds_.flows, Client(1), Flow(L4_ESTABLISHED, 0));
  PacketMapFds broken = fds_;
  broken.half_open = -1;
  FlowSweeper first(broken);
  Round(first);
  EXPECT_FALSE(first.counted());
  broken = fds_;
  broken.flows = -1;
  FlowSweeper second(broken);
  Round(second);
  EXPECT_FALSE(second.counted());
}

TEST_F(FlowSweep, ManyEntriesLeaveTimeToTheNextRoundUnlessItIsWaitedForOrRoomIsShort) {
  constexpr uint32_t kEntries = 20000;
  for (const uint32_t room : {2 * kEntries, kEntries + 1}) {
    close(fds_.flows);
    fds_.flows = Map(BPF_MAP_TYPE_HASH, kEntries);
    fds_.flows_max = room;
    for (uint32_t number = 0; number < kEntries; ++number) Put(fds_.flows, Client(number), Flow(L4_ESTABLISHED, 0));
    FlowSweeper sweeper(fds_);
    Round(sweeper);
    const auto first = sweeper.counted_since();
    const auto counted_after = [&](std::chrono::milliseconds since, bool waited_for) {
      for (int i = 0; i < 100; ++i) sweeper.Step(endpoints_, first + since, waited_for);
      return sweeper.counted_since() - first;
    };
    const bool short_of_room = room == kEntries + 1;
    EXPECT_EQ(counted_after(std::chrono::milliseconds(999), true), std::chrono::seconds(0));
    EXPECT_EQ(counted_after(std::chrono::milliseconds(1500), false), std::chrono::milliseconds(short_of_room ? 1500 : 0));
    EXPECT_EQ(counted_after(std::chrono::milliseconds(1999), !short_of_room), std::chrono::milliseconds(short_of_room ? 1500 : 1999));
    EXPECT_EQ(counted_after(std::chrono::milliseconds(3999), false), std::chrono::milliseconds(3999));
  }
}

TEST_F(FlowSweep, AFlowThatIsConfirmedBetweenTwoStepsIsCounted) {
  Put(fds_.half_open, Client(1), Flow(L4_SYN_ACK, 0));
  FlowSweeper sweeper(fds_);
  sweeper.Step(endpoints_, now_, false);
  Put(fds_.flows, Client(1), Flow(L4_ESTABLISHED, 0));
  const l4_flow_key key = Client(1);
  bpf_map_delete_elem(fds_.half_open, &key);
  for (int i = 0; i < 10 && !sweeper.counted(); ++i) sweeper.Step(endpoints_, now_, false);
  ASSERT_TRUE(sweeper.counted());
  EXPECT_GE(sweeper.FlowsOf(kSlot), 1u);
}

TEST_F(FlowSweep, WhatChangedSinceItWasLookedAtStays) {
  const l4_flow seen = Flow(L4_CLOSED, 100);
  for (const int map : {fds_.flows, fds_.half_open}) {
    FlowSweeper sweeper(fds_);
    Put(map, Client(1), Flow(L4_CLOSED, 0));  // a packet came
    EXPECT_FALSE(sweeper.DeleteSame(Client(1), seen));
    l4_flow other = seen;
    other.dest_port = 15;  // the port belongs to another flow
    Put(map, Client(1), other);
    EXPECT_FALSE(sweeper.DeleteSame(Client(1), seen));
    EXPECT_TRUE(Has(map, Client(1)));
    Put(map, Client(1), seen);
    EXPECT_TRUE(sweeper.DeleteSame(Client(1), seen));
    EXPECT_FALSE(Has(map, Client(1)));
  }
}

// What a new life finds: of an array of maps every key is there, and few have a table.
TEST(PacketMapsTables, OnlyThoseThatAreThere) {
  const auto table = [] { return bpf_map_create(BPF_MAP_TYPE_ARRAY, "l4_table", sizeof(uint32_t), sizeof(l4_table), 1, nullptr); };
  const UniqueFd inner(table());
  bpf_map_create_opts options{};
  options.sz = sizeof(options);
  options.inner_map_fd = static_cast<uint32_t>(inner.get());
  const UniqueFd outer(bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "l4_tables", sizeof(uint32_t), sizeof(uint32_t), L4_SERVICES_MAX, &options));
  ASSERT_GE(outer.get(), 0);
  for (const uint32_t service : {3u, L4_SERVICES_MAX - 1u}) {
    const UniqueFd one(table());
    const int fd = one.get();
    ASSERT_EQ(bpf_map_update_elem(outer.get(), &service, &fd, BPF_ANY), 0);
  }
  PacketMapFds fds;
  fds.tables = outer.get();
  const absl::StatusOr<std::vector<uint32_t>> tables = PacketMaps(fds).ReadTables();
  ASSERT_TRUE(tables.ok()) << tables.status();
  EXPECT_EQ(*tables, (std::vector<uint32_t>{3, L4_SERVICES_MAX - 1}));
}

}  // namespace
}  // namespace ringway::dp
