// The sweep over the flow tables: real maps without programs; between two steps the test does what programs do to them.
#include "dataplane/kernel/flow_sweeper.h"

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>
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
    LoadEnder();
  }
  ~FlowSweep() override {
    close(fds_.flows);
    close(fds_.half_open);
  }
  static int Map(bpf_map_type type, uint32_t entries = 1024) {
    return bpf_map_create(type, "l4_test", sizeof(l4_flow_key), sizeof(l4_flow), entries, nullptr);
  }

  void LoadEnder() {
    absl::StatusOr<FlowEnder> ender = FlowEnder::Load(fds_, testing::TempDir());
    ASSERT_TRUE(ender.ok()) << ender.status();
    ender_ = *std::move(ender);
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
  std::optional<FlowEnder> ender_;
  PacketPlanner endpoints_;
  FlowSweeper::Clock::time_point now_ = FlowSweeper::Clock::now();
};

TEST_F(FlowSweep, CountsWhatIsOpenAndEndsWhatIsOver) {
  Put(fds_.flows, Client(1), Flow(L4_ESTABLISHED, 0));
  Put(fds_.half_open, Client(2), Flow(L4_SYN, 0));
  Put(fds_.flows, Client(3), Flow(L4_CLOSED, 7));  // 5 are its time; a machine just started has no hundred
  FlowSweeper sweeper(fds_, *ender_);
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
  FlowSweeper first(broken, *ender_);
  Round(first);
  EXPECT_FALSE(first.counted());
  broken = fds_;
  broken.flows = -1;
  FlowSweeper second(broken, *ender_);
  Round(second);
  EXPECT_FALSE(second.counted());
}

TEST_F(FlowSweep, ManyEntriesLeaveTimeToTheNextRoundUnlessItIsWaitedForOrRoomIsShort) {
  constexpr uint32_t kEntries = 20000;
  for (const uint32_t room : {2 * kEntries, kEntries + 1}) {
    close(fds_.flows);
    fds_.flows = Map(BPF_MAP_TYPE_HASH, kEntries);
    fds_.flows_max = room;
    LoadEnder();
    for (uint32_t number = 0; number < kEntries; ++number) Put(fds_.flows, Client(number), Flow(L4_ESTABLISHED, 0));
    FlowSweeper sweeper(fds_, *ender_);
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
  FlowSweeper sweeper(fds_, *ender_);
  sweeper.Step(endpoints_, now_, false);
  Put(fds_.flows, Client(1), Flow(L4_ESTABLISHED, 0));
  const l4_flow_key key = Client(1);
  bpf_map_delete_elem(fds_.half_open, &key);
  for (int i = 0; i < 10 && !sweeper.counted(); ++i) sweeper.Step(endpoints_, now_, false);
  ASSERT_TRUE(sweeper.counted());
  EXPECT_GE(sweeper.FlowsOf(kSlot), 1u);
}

// A pair as the programs make it: the other side's key is the answer to what the client's packets become.
class FlowEnd : public FlowSweep {
 protected:
  static l4_flow_key EndpointKey() {
    const l4_flow flow = Flow(L4_CLOSED, 0);
    l4_flow_key key{};
    key.source[3] = flow.dest[3], key.dest[3] = flow.source[3], key.source_port = flow.dest_port, key.dest_port = flow.source_port, key.protocol = 6;
    return key;
  }
  static l4_flow ClientSide(uint32_t idle) {
    l4_flow flow = Flow(L4_CLOSED, idle);
    flow.flags = L4_FLOW_CLIENT | L4_FLOW_NAT;
    flow.opened = 77;
    return flow;
  }
  static l4_flow EndpointSide(uint32_t idle) {
    const l4_flow_key client = Client(1);
    l4_flow flow = ClientSide(idle);
    flow.flags = L4_FLOW_NAT;
    flow.source[3] = client.dest[3], flow.dest[3] = client.source[3], flow.source_port = client.dest_port, flow.dest_port = client.source_port;
    return flow;
  }
  // What the program makes of the client's side in `map`, seen as `seen`, or of the endpoint's.
  l4_ended End(int map, const l4_flow_key& key, const l4_flow& seen) {
    ender_->Add(key, seen, TickNow() - 1, map == fds_.half_open, 0);
    const absl::StatusOr<std::span<const l4_over>> overs = ender_->End();
    EXPECT_TRUE(overs.ok() && overs->size() == 1) << overs.status();
    return overs.ok() ? static_cast<l4_ended>(overs->front().ended) : L4_NOT_ENDED;
  }
  const l4_flow seen_ = ClientSide(5);
};

TEST_F(FlowEnd, BothSidesGoWhicheverTableTheyAreIn) {
  for (const int map : {fds_.flows, fds_.half_open}) {
    for (const int other : {fds_.flows, fds_.half_open}) {
      Put(map, Client(1), seen_);
      Put(other, EndpointKey(), EndpointSide(5));
      EXPECT_EQ(End(map, Client(1), seen_), L4_ENDED);
      EXPECT_FALSE(Has(map, Client(1)));
      EXPECT_FALSE(Has(other, EndpointKey()));
      EXPECT_EQ(End(map, Client(1), seen_), L4_NOT_ENDED);  // it is gone
    }
  }
}

TEST_F(FlowEnd, WhatChangedSinceItWasLookedAtStays) {
  l4_flow state = seen_, opened = seen_, packet = seen_;
  state.state = L4_ESTABLISHED;
  opened.opened = 78;  // another flow
  packet.tick = TickNow();
  for (const int map : {fds_.flows, fds_.half_open}) {
    for (const l4_flow& now : {state, opened, packet}) {
      Put(map, Client(1), now);
      Put(map, EndpointKey(), EndpointSide(5));
      EXPECT_EQ(End(map, Client(1), seen_), L4_NOT_ENDED);
      EXPECT_TRUE(Has(map, Client(1)) && Has(map, EndpointKey()));
    }
  }
}

TEST_F(FlowEnd, APacketOfTheOtherSideKeepsIt) {
  Put(fds_.flows, Client(1), seen_);
  Put(fds_.flows, EndpointKey(), EndpointSide(0));
  EXPECT_EQ(End(fds_.flows, Client(1), seen_), L4_NOT_ENDED);
  EXPECT_TRUE(Has(fds_.flows, Client(1)) && Has(fds_.flows, EndpointKey()));
}

TEST_F(FlowEnd, WhatAnotherCpuTakesIsLeftToIt) {
  l4_flow taken = EndpointSide(5);
  taken.flags |= L4_FLOW_TAKEN;
  Put(fds_.flows, Client(1), seen_);
  Put(fds_.flows, EndpointKey(), taken);
  EXPECT_EQ(End(fds_.flows, Client(1), seen_), L4_NOT_ENDED);
  EXPECT_TRUE(Has(fds_.flows, Client(1)) && Has(fds_.flows, EndpointKey()));
}

// A packet copied the entry while it was taken: whoever took it is done, and nobody else may.
TEST_F(FlowEnd, WhatWasLeftTakenGoes) {
  l4_flow client = seen_, endpoint = EndpointSide(5);
  client.flags |= L4_FLOW_TAKEN;
  endpoint.flags |= L4_FLOW_TAKEN;
  Put(fds_.flows, Client(1), client);
  Put(fds_.flows, EndpointKey(), endpoint);
  EXPECT_EQ(End(fds_.flows, Client(1), client), L4_ENDED);
  EXPECT_FALSE(Has(fds_.flows, Client(1)) || Has(fds_.flows, EndpointKey()));
}

TEST_F(FlowEnd, APortThatFoundAnotherFlowStaysWithIt) {
  l4_flow others = EndpointSide(5);
  others.dest_port = 15;
  Put(fds_.flows, Client(1), seen_);
  Put(fds_.flows, EndpointKey(), others);
  EXPECT_EQ(End(fds_.flows, Client(1), seen_), L4_ENDED);
  EXPECT_FALSE(Has(fds_.flows, Client(1)));
  EXPECT_TRUE(Has(fds_.flows, EndpointKey()));
}

TEST_F(FlowEnd, AnEndpointsSideGoesWhenItsClientsSideIsGone) {
  const l4_flow orphan = EndpointSide(5);
  for (const int map : {fds_.flows, fds_.half_open}) {
    Put(map, EndpointKey(), orphan);
    Put(fds_.half_open, Client(1), seen_);
    EXPECT_EQ(End(map, EndpointKey(), orphan), L4_NOT_ENDED);
    l4_flow by_another_port = seen_;
    by_another_port.source_port = 99;
    Put(fds_.half_open, Client(1), by_another_port);
    EXPECT_EQ(End(map, EndpointKey(), orphan), L4_REST_ENDED);
    EXPECT_FALSE(Has(map, EndpointKey()));
    EXPECT_TRUE(Has(fds_.half_open, Client(1)));
  }
}

TEST_F(FlowEnd, MoreThanOneCallTakes) {
  constexpr uint32_t kFlows = 700;
  for (uint32_t number = 0; number < kFlows; ++number) Put(fds_.flows, Client(number), Flow(L4_CLOSED, 7));
  FlowSweeper sweeper(fds_, *ender_);
  Round(sweeper);
  ASSERT_TRUE(sweeper.counted());
  EXPECT_EQ(sweeper.swept(), kFlows);
  EXPECT_EQ(sweeper.entries(), kFlows);
  EXPECT_FALSE(Has(fds_.flows, Client(kFlows - 1)));
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
