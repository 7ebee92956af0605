// Balancer: how choices spread, whom they avoid, and what survives a new map.
#include "dataplane/core/balance.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/unit/dataplane/core/balance_support.h"

namespace ringway::dp {
namespace {

TEST_P(BalancerTest, NobodyReadyIsNobody) {
  EXPECT_EQ(Choose(), kNoHandle);
  const BackendMap empty = MapOf(GetParam(), {});
  Adopt(empty);
  EXPECT_EQ(Choose(), kNoHandle);
}

TEST_P(BalancerTest, TriedEndpointsAreNotChosenAgain) {
  const BackendMap map = MapOf(GetParam(), {10, 11, 12});
  Adopt(map);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Choose({10, 12}), 11u);
  EXPECT_EQ(Choose({10, 11, 12}), kNoHandle);
}

TEST_P(BalancerTest, CoolingEndpointsComeLast) {
  const BackendMap map = MapOf(GetParam(), {10, 11});
  Adopt(map);
  EXPECT_EQ(balancer_.NoteFailure(10, EjectionReason::kConnect, 0, 0), FailureVerdict::kCounted);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Choose({}, Health::kCoolUs - 1), 11u);
  EXPECT_EQ(Choose({11}, Health::kCoolUs - 1), 10u);  // better than nobody
  std::map<EndpointHandle, int> counts;
  for (int i = 0; i < 50; ++i) {
    const EndpointHandle chosen = Choose({}, Health::kCoolUs + 200000);
    ++counts[chosen];
    balancer_.Acquire(chosen);
  }
  EXPECT_GT(counts[10], 0);
}

TEST_P(BalancerTest, EndpointsThatLeftAreSaidOnceAndNotChosen) {
  const BackendMap first = MapOf(GetParam(), {10, 11, 12});
  const BackendMap second = MapOf(GetParam(), {11, 13});
  EXPECT_TRUE(Adopt(first).empty());
  std::vector<EndpointHandle> left = Adopt(second);
  std::sort(left.begin(), left.end());
  EXPECT_EQ(left, (std::vector<EndpointHandle>{10, 12}));
  for (int i = 0; i < 50; ++i) {
    const EndpointHandle chosen = Choose();
    EXPECT_TRUE(chosen == 11 || chosen == 13) << chosen;
  }
  EXPECT_TRUE(Adopt(second).empty());
  EXPECT_EQ(Adopt(BackendMap{}).size(), 2u);
  EXPECT_EQ(Choose(), kNoHandle);
}

TEST_P(BalancerTest, OnlyServicesThatChangedAreSaid) {
  const BackendMap first = MapOf(GetParam(), {10});
  BackendMap same;
  same.services = first.services;
  Adopt(first);
  EXPECT_EQ(changed_, std::vector<ServiceHandle>{kService});
  Adopt(same);
  EXPECT_TRUE(changed_.empty());
  Adopt(BackendMap{});
  EXPECT_EQ(changed_, std::vector<ServiceHandle>{kService});
}

TEST_P(BalancerTest, RequestsInFlightSurviveASwap) {
  const BackendMap first = MapOf(GetParam(), {10, 11});
  const BackendMap without = MapOf(GetParam(), {11});
  Adopt(first);
  balancer_.Acquire(10);
  Adopt(without);
  EXPECT_EQ(balancer_.Endpoint(10).in_flight, 1u);
  Adopt(first);
  EXPECT_EQ(balancer_.Endpoint(10).in_flight, 1u);
  balancer_.Release(10);
  EXPECT_EQ(balancer_.Endpoint(10).in_flight, 0u);
}

TEST_P(BalancerTest, EqualEndpointsGetEqualShares) {
  const BackendMap map = MapOf(GetParam(), {10, 11, 12, 13});
  Adopt(map);
  std::map<EndpointHandle, int> counts;
  for (int i = 0; i < 4000; ++i) {
    const EndpointHandle chosen = Choose();
    ++counts[chosen];
    balancer_.Acquire(chosen);
    balancer_.Release(chosen);
  }
  for (const EndpointHandle h : {10, 11, 12, 13}) {
    if (GetParam() == Balance::kRandomOfTwo) EXPECT_NEAR(counts[h], 1000, 200);
    else EXPECT_EQ(counts[h], 1000);
  }
}

INSTANTIATE_TEST_SUITE_P(All, BalancerTest,
                         testing::Values(Balance::kRoundRobin, Balance::kLeastRequests, Balance::kRandomOfTwo));

using RoundRobinTest = BalancerTest;

TEST_P(RoundRobinTest, FollowsTheScheduleStepByStep) {
  const BackendMap map = MapOf(Balance::kRoundRobin, {10, 11}, {2, 1}, {0, 1, 0});
  Adopt(map);
  std::string got;
  for (int i = 0; i < 6; ++i) got += Choose() == 10 ? 'a' : 'b';
  EXPECT_EQ(std::count(got.begin(), got.end(), 'a'), 4);
  EXPECT_EQ(got.substr(0, 3), got.substr(3));
}

TEST_P(RoundRobinTest, GoesOnWhereItWasAfterASwap) {
  const BackendMap first = MapOf(Balance::kRoundRobin, {10, 11, 12, 13});
  const BackendMap second = MapOf(Balance::kRoundRobin, {10, 11, 12, 13});
  Adopt(first);
  const EndpointHandle before = Choose();
  Adopt(second);
  EXPECT_EQ(Choose(), before == 13 ? 10 : before + 1);
}
INSTANTIATE_TEST_SUITE_P(One, RoundRobinTest, testing::Values(Balance::kRoundRobin));

using LeastRequestsTest = BalancerTest;

TEST_P(LeastRequestsTest, TheLeastLoadedIsChosenByWeight) {
  const BackendMap map = MapOf(Balance::kLeastRequests, {10, 11}, {3, 1});
  Adopt(map);
  std::map<EndpointHandle, int> held;
  for (int i = 0; i < 40; ++i) {
    const EndpointHandle chosen = Choose();
    ++held[chosen];
    balancer_.Acquire(chosen);
  }
  EXPECT_NEAR(held[10], 30, 1);
  EXPECT_NEAR(held[11], 10, 1);
}

TEST_P(LeastRequestsTest, LoadIsKnownAfterASwap) {
  const BackendMap first = MapOf(Balance::kLeastRequests, {10, 11});
  const BackendMap second = MapOf(Balance::kLeastRequests, {10, 11, 12});
  Adopt(first);
  for (int i = 0; i < 3; ++i) balancer_.Acquire(10);
  balancer_.Acquire(11);
  Adopt(second);
  EXPECT_EQ(Choose(), 12u);
  EXPECT_EQ(Choose({12}), 11u);
}
INSTANTIATE_TEST_SUITE_P(One, LeastRequestsTest, testing::Values(Balance::kLeastRequests));

using RandomOfTwoTest = BalancerTest;

TEST_P(RandomOfTwoTest, TheLoadedOneLosesWheneverItIsCompared) {
  const BackendMap map = MapOf(Balance::kRandomOfTwo, {10, 11});
  Adopt(map);
  for (int i = 0; i < 5; ++i) balancer_.Acquire(10);
  int loaded = 0;
  for (int i = 0; i < 1000; ++i) loaded += Choose() == 10 ? 1 : 0;
  EXPECT_NEAR(loaded, 250, 60);  // only when it is drawn twice
}
INSTANTIATE_TEST_SUITE_P(One, RandomOfTwoTest, testing::Values(Balance::kRandomOfTwo));

}  // namespace
}  // namespace ringway::dp
