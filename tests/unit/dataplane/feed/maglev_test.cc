// Maglev's table: shares by weight, few changes, no dependence on the order. Names are fixed: every run sees the same tables.
#include "dataplane/feed/maglev.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

namespace ringway::dp {
namespace {

constexpr uint32_t kSize = 16381;

std::vector<MaglevEndpoint> Endpoints(uint32_t count, uint32_t weight = 1) {
  std::vector<MaglevEndpoint> endpoints;
  for (uint32_t i = 1; i <= count; ++i) endpoints.push_back({IdentityHash("web/" + std::to_string(i)), weight, i});
  return endpoints;
}

std::map<uint32_t, uint32_t> Shares(const std::vector<uint32_t>& table) {
  std::map<uint32_t, uint32_t> shares;
  for (const uint32_t value : table) ++shares[value];
  return shares;
}

uint32_t Changed(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
  uint32_t changed = 0;
  for (uint32_t i = 0; i < kSize; ++i) changed += a[i] != b[i] ? 1 : 0;
  return changed;
}

TEST(Maglev, WithoutEndpointsItIsZeroes) { EXPECT_EQ(MaglevTable({}, kSize), std::vector<uint32_t>(kSize)); }

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
  for (const MaglevEndpoint& endpoint : endpoints) EXPECT_NEAR(shares.at(endpoint.value), kSize * endpoint.weight / 8, 8);
}

TEST(Maglev, TheOrderOfEndpointsDoesNotMatter) {
  std::vector<MaglevEndpoint> endpoints = Endpoints(20);
  const auto table = MaglevTable(endpoints, kSize);
  std::reverse(endpoints.begin(), endpoints.end());
  EXPECT_EQ(MaglevTable(endpoints, kSize), table);
}

// At most 1.5 times the share that has to move, up to 40 endpoints; 2.5 times at 100 (maglev.h).
TEST(Maglev, OneThatLeavesMovesLittleBesideItsOwn) {
  for (const uint32_t count : {3u, 10u, 40u}) {
    const auto before = MaglevTable(Endpoints(count), kSize);
    auto rest = Endpoints(count);
    rest.erase(rest.begin() + count / 2);
    EXPECT_LE(Changed(before, MaglevTable(rest, kSize)), kSize / count * 3 / 2) << count;
  }
}

TEST(Maglev, OneThatJoinsMovesLittleBesideItsOwn) {
  for (const uint32_t count : {3u, 10u, 40u}) {
    EXPECT_LE(Changed(MaglevTable(Endpoints(count), kSize), MaglevTable(Endpoints(count + 1), kSize)), kSize / (count + 1) * 3 / 2) << count;
  }
}

TEST(Maglev, IdentitiesAreTheSameInEveryRelease) {
  EXPECT_EQ(IdentityHash("web"), IdentityHash("web"));
  EXPECT_NE(IdentityHash("web"), IdentityHash("wea"));
  EXPECT_NE(IdentityHash(""), 0u);
}

}  // namespace
}  // namespace ringway::dp
