// Maglev's table: shares by weight, few changes, no dependence on the order. Names are fixed: every run sees the same tables.
#include "dataplane/feed/maglev.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

namespace ringway::dp {
namespace {

constexpr uint32_t kSize = 196613;  // L4_TABLE_SIZE

// With `weights` above 1 they are 1, 2, ... `weights`, in turn.
std::vector<MaglevEndpoint> Endpoints(uint32_t count, uint32_t weights = 1) {
  std::vector<MaglevEndpoint> endpoints;
  for (uint32_t i = 1; i <= count; ++i) endpoints.push_back({IdentityHash("web/" + std::to_string(i)), 1 + i % weights, static_cast<uint16_t>(i)});
  return endpoints;
}

std::map<uint32_t, uint32_t> Shares(const std::vector<uint16_t>& table) {
  std::map<uint32_t, uint32_t> shares;
  for (const uint16_t value : table) ++shares[value];
  return shares;
}

uint32_t Changed(const std::vector<uint16_t>& a, const std::vector<uint16_t>& b) {
  uint32_t changed = 0;
  for (uint32_t i = 0; i < kSize; ++i) changed += a[i] != b[i] ? 1 : 0;
  return changed;
}

TEST(Maglev, WithoutEndpointsItIsZeroes) { EXPECT_EQ(MaglevTable({}, kSize), std::vector<uint16_t>(kSize)); }

TEST(Maglev, EqualWeightsGetEqualShares) {
  for (const uint32_t count : {1u, 2u, 3u, 10u, 160u}) {
    const auto shares = Shares(MaglevTable(Endpoints(count), kSize));
    ASSERT_EQ(shares.size(), count);
    for (const auto& [value, share] : shares) EXPECT_NEAR(share, kSize / count, 1) << value << " of " << count;
  }
}

TEST(Maglev, SharesFollowWeights) {
  std::vector<MaglevEndpoint> endpoints = Endpoints(3);
  endpoints[0].weight = 1;
  endpoints[1].weight = 2;
  endpoints[2].weight = 5;
  const auto shares = Shares(MaglevTable(endpoints, kSize));
  for (const MaglevEndpoint& endpoint : endpoints) EXPECT_NEAR(shares.at(endpoint.value), kSize * endpoint.weight / 8, 1);
}

TEST(Maglev, TheOrderOfEndpointsDoesNotMatter) {
  std::vector<MaglevEndpoint> endpoints = Endpoints(20);
  const auto table = MaglevTable(endpoints, kSize);
  std::reverse(endpoints.begin(), endpoints.end());
  EXPECT_EQ(MaglevTable(endpoints, kSize), table);
}

// What moves, in entries of its own, when endpoint `value` leaves, or joins the others.
double Disruption(const std::vector<MaglevEndpoint>& whole, const std::vector<uint16_t>& table, uint32_t value) {
  auto rest = whole;
  std::erase_if(rest, [&](const MaglevEndpoint& endpoint) { return endpoint.value == value; });
  return static_cast<double>(Changed(table, MaglevTable(rest, kSize))) / static_cast<double>(std::count(table.begin(), table.end(), value));
}

// 1 would be the ideal: its own and no other's. So for the lightest as well, which has a third of a mean share.
TEST(Maglev, OneThatLeavesOrJoinsMovesAtMostOneAndAHalfTimesItsOwn) {
  for (const uint32_t count : {10u, 40u, 100u}) {
    for (const uint32_t weights : {1u, 5u}) {
      const auto endpoints = Endpoints(count, weights);
      const auto table = MaglevTable(endpoints, kSize);
      for (uint32_t value = count - 9; value <= count; ++value) {  // two of each weight
        EXPECT_LE(Disruption(endpoints, table, value), 1.5) << value << " of " << count << ", weights to " << weights;
      }
    }
  }
}

TEST(Maglev, TheLightestBesideTheHeaviestGetsItsShare) {
  std::vector<MaglevEndpoint> endpoints = Endpoints(3);
  endpoints[0].weight = 65535;
  endpoints[1].weight = 1;
  endpoints[2].weight = 1;
  const auto shares = Shares(MaglevTable(endpoints, kSize));
  EXPECT_NEAR(shares.at(endpoints[1].value), 3, 1);
  EXPECT_NEAR(shares.at(endpoints[2].value), 3, 1);
}

TEST(Maglev, IdentitiesAreTheSameInEveryRelease) {
  EXPECT_EQ(IdentityHash("web"), IdentityHash("web"));
  EXPECT_NE(IdentityHash("web"), IdentityHash("wea"));
  EXPECT_NE(IdentityHash(""), 0u);
}

}  // namespace
}  // namespace ringway::dp
