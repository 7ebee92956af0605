// The alias table gives every endpoint the share of its weight, exactly.
#include "dataplane/kernel/connect_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace ringway::dp {
namespace {

std::vector<connect_endpoint> Endpoints(const std::vector<uint32_t>& weights) {
  std::vector<connect_endpoint> endpoints;
  for (const uint32_t weight : weights) {
    connect_endpoint endpoint{};
    endpoint.id = endpoints.size() + 1;
    endpoint.weight = static_cast<__u16>(weight);
    endpoints.push_back(endpoint);
  }
  return endpoints;
}

// What each endpoint gets, in 2^32ths of a slot.
std::map<uint64_t, uint64_t> Shares(const std::vector<connect_slot>& slots) {
  std::map<uint64_t, uint64_t> shares;
  for (const connect_slot& slot : slots) {
    shares[slot.own.id] += slot.keep;
    shares[slot.other.id] += (uint64_t{1} << 32) - slot.keep;
  }
  return shares;
}

TEST(ConnectTable, NoEndpointsNoSlots) { EXPECT_TRUE(MakeAliasTable({}).empty()); }

TEST(ConnectTable, EqualWeightsKeepTheirOwnSlots) {
  for (const connect_slot& slot : MakeAliasTable(Endpoints({7, 7, 7}))) EXPECT_EQ(slot.keep, uint64_t{1} << 32);
}

TEST(ConnectTable, SharesAreTheWeights) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<uint32_t> weights(1 + random() % 300);
    uint64_t total = 0;
    for (uint32_t& weight : weights) total += weight = 1 + random() % 256;
    const auto slots = MakeAliasTable(Endpoints(weights));
    ASSERT_EQ(slots.size(), weights.size());
    const auto shares = Shares(slots);
    for (size_t i = 0; i < weights.size(); ++i) {
      const double wanted = static_cast<double>(weights[i]) * static_cast<double>(weights.size()) / static_cast<double>(total);
      // Each slot rounds once.
      EXPECT_NEAR(static_cast<double>(shares.at(i + 1)) / 4294967296.0, wanted, 1e-9 * static_cast<double>(weights.size()));
    }
  }
}

}  // namespace
}  // namespace ringway::dp
