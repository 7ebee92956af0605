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

TEST_P(BalancerTest, RequestsInFlightSurviveAChangeOfPolicy) {
  const BackendMap queued = MapOf(Balance::kLeastRequests, {10, 11});
  const BackendMap other = MapOf(GetParam(), {10, 11, 12});
  Adopt(queued);
  balancer_.Acquire(10);
  balancer_.Acquire(11);
  Adopt(other);
  balancer_.Acquire(12);
  balancer_.Release(10);
  const BackendMap again = MapOf(Balance::kLeastRequests, {10, 11, 12});
  Adopt(again);
  EXPECT_EQ(Choose(), 10u);  // the only one with nothing in flight
  const BackendMap fewer = MapOf(GetParam(), {10});
  Adopt(fewer);
  balancer_.Release(11);  // not ready any more
  balancer_.Release(12);
  EXPECT_EQ(balancer_.Endpoint(11).in_flight + balancer_.Endpoint(12).in_flight, 0u);
  EXPECT_EQ(Choose(), 10u);
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
    if (GetParam() == Balance::kRandomOfTwo || GetParam() == Balance::kLeastLatency) EXPECT_NEAR(counts[h], 1000, 200);
    else EXPECT_EQ(counts[h], 1000);
  }
}

INSTANTIATE_TEST_SUITE_P(All, BalancerTest,
                         testing::Values(Balance::kRoundRobin, Balance::kLeastRequests, Balance::kRandomOfTwo, Balance::kLeastLatency));

using RoundRobinTest = BalancerTest;

TEST_P(RoundRobinTest, FollowsTheScheduleStepByStep) {
  const BackendMap map = MapOf(Balance::kRoundRobin, {10, 11}, {2, 1}, {0, 1, 0});
  Adopt(map);
  std::string got;
  for (int i = 0; i < 6; ++i) got += Choose() == 10 ? 'a' : 'b';
  EXPECT_EQ(std::count(got.begin(), got.end(), 'a'), 4);
  EXPECT_EQ(got.substr(0, 3), got.substr(3));
}

TEST_P(RoundRobinTest, OneThatIsOutOrFullIsPassedOver) {
  auto service = ServiceOf(GetParam(), {10, 11, 12});
  service->in_flight_max = 1;
  const BackendMap map = MapOf(service);
  Adopt(map);
  balancer_.NoteFailure(10, EjectionReason::kConnect, 0, 0);
  balancer_.Acquire(12);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(Choose({}, 1), 11u);
  balancer_.Acquire(11);
  EXPECT_EQ(Choose({}, 1), kNoHandle);
  EXPECT_TRUE(full_);
}

TEST_P(RoundRobinTest, FewerEndpointsAfterASwapAreAllChosen) {
  const BackendMap many = MapOf(GetParam(), {10, 11, 12, 13, 14, 15, 16});
  const BackendMap few = MapOf(GetParam(), {10, 11});
  Adopt(many);
  for (int last = 0; last < 7; ++last) {
    Adopt(many);
    Choose();
    Adopt(few);
    EXPECT_EQ(Choose() + Choose(), 21u);
  }
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

using LeastLatencyTest = BalancerTest;

TEST_P(LeastLatencyTest, TheSlowOneLosesWheneverItIsCompared) {
  const BackendMap map = MapOf(Balance::kLeastLatency, {10, 11});
  Adopt(map);
  balancer_.NoteLatency(10, 50000, 0);
  balancer_.NoteLatency(11, 1000, 0);
  int slow = 0;
  for (int i = 0; i < 1000; ++i) slow += Choose() == 10 ? 1 : 0;
  EXPECT_NEAR(slow, 250, 60);  // only when it is drawn twice
}

TEST_P(LeastLatencyTest, WhatIsInFlightCountsAsOftenAsItWouldTake) {
  const BackendMap map = MapOf(Balance::kLeastLatency, {10, 11});
  Adopt(map);
  balancer_.NoteLatency(10, 3000, 0);
  balancer_.NoteLatency(11, 1000, 0);
  for (int i = 0; i < 3; ++i) balancer_.Acquire(11);  // four times 1000 against 3000
  int slow = 0;
  for (int i = 0; i < 1000; ++i) slow += Choose() == 10 ? 1 : 0;
  EXPECT_NEAR(slow, 750, 60);
}

TEST_P(LeastLatencyTest, AWeightIsWorthItsTimesTheLatency) {
  const BackendMap map = MapOf(Balance::kLeastLatency, {10, 11}, {4, 1}, {0, 0, 1, 0, 0});
  Adopt(map);
  balancer_.NoteLatency(10, 3900, 0);
  balancer_.NoteLatency(11, 1000, 0);
  int heavy = 0;
  for (int i = 0; i < 1000; ++i) heavy += Choose() == 10 ? 1 : 0;
  EXPECT_NEAR(heavy, 960, 30);  // unless the light one, a fifth of the draws, is drawn twice
}

TEST_P(LeastLatencyTest, APeakCountsAtOnceAndFades) {
  const BackendMap map = MapOf(Balance::kLeastLatency, {10, 11});
  Adopt(map);
  for (int i = 0; i < 50; ++i) balancer_.NoteLatency(10, 1000, 0);
  balancer_.NoteLatency(10, 100000, 0);
  EXPECT_EQ(balancer_.Endpoint(10).latency_us, 100000u);
  uint64_t now_us = 0;
  for (int i = 0; i < 3000; ++i) balancer_.NoteLatency(10, 1000, now_us += 1000);
  EXPECT_NEAR(balancer_.Endpoint(10).latency_us, 1000 + 99000 * 0.368, 1500);  // e^-1 after three seconds
}

TEST_P(LeastLatencyTest, OneThatWasSlowIsTriedAgainInTime) {
  const BackendMap map = MapOf(Balance::kLeastLatency, {10, 11});
  Adopt(map);
  balancer_.NoteLatency(10, 20000, 0);
  const auto chosen_at = [&](uint64_t now_us) {
    balancer_.NoteLatency(11, 1000, now_us);
    int chosen = 0;
    for (int i = 0; i < 100; ++i) chosen += Choose({}, now_us) == 10 ? 1 : 0;
    return chosen;
  };
  EXPECT_LT(chosen_at(1000000), 50);
  EXPECT_GT(chosen_at(60000000), 50) << "20 ms have faded to below 1 ms";
}

TEST_P(LeastLatencyTest, ANewOneIsTriedByOneRequestAtATime) {
  const BackendMap map = MapOf(Balance::kLeastLatency, {10, 11});
  Adopt(map);
  balancer_.NoteLatency(11, 1000, 0);
  balancer_.Acquire(11);
  int fresh = 0;
  for (int i = 0; i < 200; ++i) fresh += Choose() == 10 ? 1 : 0;
  EXPECT_GT(fresh, 120) << "an endpoint nothing is known of goes before";
  balancer_.Acquire(10);
  fresh = 0;
  for (int i = 0; i < 200; ++i) fresh += Choose() == 10 ? 1 : 0;
  EXPECT_LT(fresh, 80) << "and waits for its first answer";
}

TEST_P(LeastLatencyTest, TheRoundTripIsTheLeastItCanTake) {
  const BackendMap map = MapOf(Balance::kLeastLatency, {10, 11});
  Adopt(map);
  balancer_.Endpoint(10).rtt_us = 80000;
  balancer_.Endpoint(11).rtt_us = 300;
  int far = 0;
  for (int i = 0; i < 1000; ++i) far += Choose({}, 100000000) == 10 ? 1 : 0;
  EXPECT_NEAR(far, 250, 60) << "however long ago its last answer was";
}

TEST_P(LeastLatencyTest, OneThatFailsFastAttractsNobody) {
  const BackendMap map = MapOf(Balance::kLeastLatency, {10, 11});
  Adopt(map);
  balancer_.NoteLatency(11, 50000, 0);
  balancer_.NoteFailedLatency(10, 200, 0);
  for (int i = 0; i < 100; ++i) balancer_.Acquire(11);  // however much the other one has to do
  const auto failing_at = [&](uint64_t now_us) {
    int failing = 0;
    for (int i = 0; i < 1000; ++i) failing += Choose({}, now_us) == 10 ? 1 : 0;
    return failing;
  };
  EXPECT_NEAR(failing_at(1), 250, 60) << "only when it is drawn twice";
  EXPECT_GT(failing_at(2000000), 600) << "tried again";
  balancer_.NoteFailedLatency(10, 200, 2000000);
  EXPECT_NEAR(failing_at(2000001), 250, 60);
  balancer_.NoteLatency(10, 200, 2000002);
  EXPECT_GT(failing_at(2000003), 600) << "it has answered";
}

TEST_P(LeastLatencyTest, AFailureIsNoReasonToThinkItFaster) {
  const BackendMap map = MapOf(Balance::kLeastLatency, {10, 11});
  Adopt(map);
  balancer_.NoteLatency(10, 50000, 0);
  for (uint64_t now_us = 1000; now_us < 100000; now_us += 1000) balancer_.NoteFailedLatency(10, 200, now_us);
  EXPECT_EQ(balancer_.Endpoint(10).latency_us, 50000u);
  balancer_.NoteFailedLatency(10, 2000000, 200000);
  EXPECT_EQ(balancer_.Endpoint(10).latency_us, 2000000u) << "a slow one is";
}

TEST_P(LeastLatencyTest, ANewInstanceBeginsWithNothingKnown) {
  const BackendMap first = MapOf(Balance::kLeastLatency, {10, 11}), without = MapOf(Balance::kLeastLatency, {11}), again = MapOf(Balance::kLeastLatency, {10, 11});
  Adopt(first);
  balancer_.NoteLatency(10, 5000, 0);
  balancer_.NoteFailedLatency(10, 5000, 0);
  Adopt(without);
  Adopt(again);
  EXPECT_EQ(balancer_.Endpoint(10).latency_us, 0u);
  EXPECT_EQ(balancer_.Endpoint(10).failed_until_us, 0u);
}
INSTANTIATE_TEST_SUITE_P(One, LeastLatencyTest, testing::Values(Balance::kLeastLatency));

}  // namespace
}  // namespace ringway::dp
