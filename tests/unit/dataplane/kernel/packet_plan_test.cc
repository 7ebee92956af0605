// Slots, tables and the order of writes: what a plan says, step by step, without a kernel.
#include "dataplane/kernel/packet_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string>

namespace ringway::dp {
namespace {

using namespace std::chrono_literals;

constexpr PacketPlanner::Time kStart{1000s};

IpAddress V4(uint8_t last, uint16_t port = 80) {
  IpAddress address;
  address.bytes = {10, 0, 0, last};
  address.port = port;
  return address;
}

PacketEndpoint Endpoint(uint8_t number, l4_endpoint_state state = L4_READY) {
  return {IdentityHash("web/" + std::to_string(number)), V4(number), V4(200, 0), 1, state};
}

PacketService Web(std::vector<PacketEndpoint> endpoints, const std::string& name = "web/4", uint8_t vip = 100) {
  PacketService service;
  service.name = name;
  service.vips = {VipKey(V4(vip), false)};
  service.endpoints = std::move(endpoints);
  return service;
}

// What the kernel's maps would hold.
struct Maps {
  std::vector<l4_endpoint> records = std::vector<l4_endpoint>(L4_ENDPOINTS_MAX);
  std::map<uint32_t, std::vector<bool>> tables;  // by slot: is it named
  PacketPlanner::VipList vips;

  // Every step leaves maps that a packet may meet: no table names an endpoint that was never written, no address leads nowhere.
  void Carry(const PacketPlan& plan) {
    for (const SlotWrite& write : plan.born) {
      EXPECT_EQ(records[write.slot].state, L4_ABSENT);
      EXPECT_EQ(write.record.generation, records[write.slot].generation + 1);
      for (const auto& [service, table] : tables) EXPECT_FALSE(table[write.slot]);
      records[write.slot] = write.record;
    }
    for (const TableWrite& write : plan.tables) {
      std::vector<bool>& named = tables[write.service];
      named.assign(L4_ENDPOINTS_MAX, false);
      for (const uint32_t slot : write.slots) named[slot] = true;
      for (uint32_t slot = 1; slot < L4_ENDPOINTS_MAX; ++slot) EXPECT_TRUE(!named[slot] || records[slot].generation != 0);
    }
    for (const VipWrite& write : plan.vips) {
      EXPECT_TRUE(tables.contains(write.value.service));
      Drop(write.key);
      vips.emplace_back(write.key, write.value);
    }
    for (const l4_vip_key& key : plan.vips_gone) Drop(key);
    for (const uint32_t service : plan.tables_gone) {
      for (const auto& [key, vip] : vips) EXPECT_NE(vip.service, service);
      tables.erase(service);
    }
    for (const SlotWrite& write : plan.changed) {
      if (write.record.state == L4_ABSENT) {
        for (const auto& [service, table] : tables) EXPECT_FALSE(table[write.slot]);
      }
      records[write.slot] = write.record;
    }
  }
  void Drop(const l4_vip_key& key) {
    std::erase_if(vips, [&](const auto& one) { return std::memcmp(&one.first, &key, sizeof(key)) == 0; });
  }
};

class PacketPlannerTest : public testing::Test {
 protected:
  PacketPlan Next(const std::vector<PacketService>& services, PacketPlanner::Time now = kStart) {
    absl::StatusOr<PacketPlan> plan = planner_.Next(services, now);
    EXPECT_TRUE(plan.ok()) << plan.status();
    maps_.Carry(*plan);
    return *plan;
  }
  uint32_t Slot(uint8_t number) { return planner_.slots().at(Endpoint(number).identity); }
  PacketPlanner planner_;
  Maps maps_;
};

TEST_F(PacketPlannerTest, TheFirstPlanWritesAll) {
  const PacketPlan plan = Next({Web({Endpoint(1), Endpoint(2), Endpoint(3, L4_DRAINING)})});
  EXPECT_EQ(plan.born.size(), 3u);
  ASSERT_EQ(plan.tables.size(), 1u);
  const std::set<uint32_t> named(plan.tables[0].slots.begin(), plan.tables[0].slots.end());
  EXPECT_EQ(named, (std::set<uint32_t>{Slot(1), Slot(2)}));
  ASSERT_EQ(plan.vips.size(), 1u);
  EXPECT_EQ(FromAbi(maps_.records[Slot(1)].ip, maps_.records[Slot(1)].port), V4(1));
}

TEST_F(PacketPlannerTest, TheSameAgainIsNothing) {
  Next({Web({Endpoint(1), Endpoint(2)})});
  EXPECT_TRUE(Next({Web({Endpoint(1), Endpoint(2)})}).empty());
}

TEST_F(PacketPlannerTest, OnlyTheTableOfTheTouchedServiceIsMade) {
  Next({Web({Endpoint(1)}), Web({Endpoint(2)}, "other/4", 101)});
  const PacketPlan plan = Next({Web({Endpoint(1), Endpoint(3)}), Web({Endpoint(2)}, "other/4", 101)});
  EXPECT_EQ(plan.born.size(), 1u);
  EXPECT_EQ(plan.tables.size(), 1u);
  EXPECT_TRUE(plan.vips.empty());
  EXPECT_TRUE(plan.changed.empty());
}

TEST_F(PacketPlannerTest, AnEndpointAtItsOwnVethIsMarkedAndOneThatMovedIsNoMore) {
  PacketEndpoint endpoint = Endpoint(1);
  endpoint.peer = 7;
  Next({Web({endpoint})});
  EXPECT_EQ(maps_.records[Slot(1)].ifindex, 7u);
  EXPECT_EQ(maps_.records[Slot(1)].flags, L4_ENDPOINT_PEER);
  EXPECT_EQ(Next({Web({Endpoint(1)})}).changed.size(), 1u);
  EXPECT_EQ(maps_.records[Slot(1)].ifindex, 0u);
  EXPECT_EQ(maps_.records[Slot(1)].flags, 0);
}

TEST_F(PacketPlannerTest, AStateIsWrittenAfterTheTableWithNothingElseChanged) {
  Next({Web({Endpoint(1), Endpoint(2)})});
  const l4_endpoint before = maps_.records[Slot(1)];
  const PacketPlan plan = Next({Web({Endpoint(1, L4_DRAINING), Endpoint(2)})});
  EXPECT_EQ(plan.tables.size(), 1u);
  ASSERT_EQ(plan.changed.size(), 1u);
  l4_endpoint wanted = before;
  wanted.state = L4_DRAINING;
  EXPECT_EQ(std::memcmp(&plan.changed[0].record, &wanted, sizeof(wanted)), 0);
}

TEST_F(PacketPlannerTest, WhatLeavesReadyDrainsUntilItsFlowsHaveEnded) {
  Next({Web({Endpoint(1), Endpoint(2)})});
  const uint32_t slot = Slot(1);
  Next({Web({Endpoint(2)})}, kStart + 1s);
  EXPECT_EQ(maps_.records[slot].state, L4_DRAINING);
  uint64_t flows = 0;
  const auto flows_of = [&](uint32_t) { return flows; };
  // A count that began before it left has not seen its last flows.
  EXPECT_TRUE(planner_.Rest(flows_of, kStart, kStart + 2s).empty());
  flows = 3;
  EXPECT_TRUE(planner_.Rest(flows_of, kStart + 2s, kStart + 3s).empty());
  flows = 0;
  maps_.Carry(planner_.Rest(flows_of, kStart + 3s, kStart + 4s));
  EXPECT_EQ(maps_.records[slot].state, L4_ABSENT);
  EXPECT_FALSE(planner_.slots().contains(Endpoint(1).identity));
}

TEST_F(PacketPlannerTest, ASlotRestsBeforeItGetsAnotherOwner) {
  Next({Web({Endpoint(1), Endpoint(2)})});
  const uint32_t slot = Slot(1);
  Next({Web({Endpoint(1, L4_DEAD), Endpoint(2)})});
  Next({Web({Endpoint(2)})});
  EXPECT_EQ(maps_.records[slot].state, L4_ABSENT);
  Next({Web({Endpoint(2), Endpoint(3)})}, kStart + 1s);
  EXPECT_NE(Slot(3), slot);
  Next({Web({Endpoint(2), Endpoint(3), Endpoint(4)})}, kStart + 10s);
  EXPECT_EQ(Slot(4), slot);
  EXPECT_EQ(maps_.records[slot].generation, 2u);
}

TEST_F(PacketPlannerTest, AServiceThatLeavesTakesItsAddressesBeforeItsTable) {
  Next({Web({Endpoint(1)}), Web({Endpoint(2)}, "other/4", 101)});
  const PacketPlan plan = Next({Web({Endpoint(1)})});
  EXPECT_EQ(plan.vips_gone.size(), 1u);
  EXPECT_EQ(plan.tables_gone.size(), 1u);
  EXPECT_EQ(maps_.records[planner_.slots().at(Endpoint(2).identity)].state, L4_DRAINING);
}

TEST_F(PacketPlannerTest, ANewLifeFindsItsSlotsAndServices) {
  Next({Web({Endpoint(9)}, "a/4", 99), Web({Endpoint(1), Endpoint(2)})});
  const uint32_t slot = Slot(2), service = planner_.services().at("web/4");
  PacketPlanner next;
  std::vector<uint32_t> tables;
  for (const auto& [index, table] : maps_.tables) tables.push_back(index);
  next.Restore(maps_.records, maps_.vips, tables, kStart);
  const auto plan = next.Next({Web({Endpoint(2), Endpoint(3)})}, kStart);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(next.slots().at(Endpoint(2).identity), slot);
  EXPECT_EQ(next.services().at("web/4"), service);
  EXPECT_EQ(plan->born.size(), 1u);
  EXPECT_EQ(plan->tables.size(), 1u);
  EXPECT_EQ(plan->vips.size(), 0u);
  EXPECT_EQ(plan->vips_gone.size(), 1u);
  ASSERT_EQ(plan->tables_gone.size(), 1u) << "of the service that left while nobody ran";
  EXPECT_EQ(plan->tables_gone[0], planner_.services().at("a/4"));
  maps_.Carry(*plan);
  EXPECT_EQ(maps_.records[planner_.slots().at(Endpoint(1).identity)].state, L4_DRAINING);
}

TEST_F(PacketPlannerTest, MoreThanThereIsRoomForIsRefusedWhole) {
  std::vector<PacketEndpoint> endpoints;
  for (uint32_t i = 0; i < L4_ENDPOINTS_MAX; ++i) endpoints.push_back({IdentityHash(std::to_string(i)), V4(1), V4(2), 1, L4_READY});
  EXPECT_EQ(planner_.Next({Web(endpoints)}, kStart).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(planner_.slots().empty());
  endpoints.pop_back();
  EXPECT_TRUE(planner_.Next({Web(endpoints)}, kStart).ok());
}

TEST_F(PacketPlannerTest, ALongLifeOfChangesKeepsEveryStepSound) {
  uint32_t random = 12345;
  PacketPlanner::Time now = kStart;
  for (int round = 0; round < 80; ++round) {
    std::vector<PacketEndpoint> endpoints;
    for (uint8_t i = 1; i <= 12; ++i) {
      random = random * 1664525 + 1013904223;
      const uint32_t dice = random >> 28;
      if (dice < 4) continue;
      endpoints.push_back(Endpoint(i, dice < 6 ? L4_DRAINING : dice < 8 ? L4_DEAD : L4_READY));
    }
    now += 500ms;
    Next({Web(endpoints)}, now);
    maps_.Carry(planner_.Rest([](uint32_t slot) { return slot % 3; }, now, now));
    for (const PacketEndpoint& endpoint : endpoints) {
      const l4_endpoint& record = maps_.records[planner_.slots().at(endpoint.identity)];
      EXPECT_EQ(record.state, endpoint.state);
      EXPECT_EQ(record.identity, endpoint.identity);
    }
  }
}

}  // namespace
}  // namespace ringway::dp
