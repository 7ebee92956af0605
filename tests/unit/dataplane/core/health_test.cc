// Passive health, slow start and the limit of requests in flight, as choices show them, for all three policies.
#include "dataplane/core/health.h"

#include <map>

#include "tests/unit/dataplane/core/balance_support.h"

namespace ringway::dp {
namespace {

constexpr uint64_t kSecond = 1000000;

class HealthTest : public BalancerTest {
 protected:
  // Four endpoints, ejected after three failures for 5 s at first, two at a time.
  std::shared_ptr<ServiceEntry> Four() {
    auto service = ServiceOf(GetParam(), {10, 11, 12, 13});
    service->ejections_max = 2;
    return service;
  }
  FailureVerdict Fail(EndpointHandle handle, uint64_t now_us, EjectionReason reason = EjectionReason::kReset) {
    return balancer_.NoteFailure(handle, reason, now_us, now_us);
  }
  void Eject(EndpointHandle handle, uint64_t now_us) {
    while (Fail(handle, now_us) != FailureVerdict::kEjected) {
    }
  }
  // Of `count` choices, each ended at once.
  std::map<EndpointHandle, int> Counts(int count, uint64_t now_us) {
    std::map<EndpointHandle, int> counts;
    for (int i = 0; i < count; ++i) {
      const EndpointHandle chosen = Choose({}, now_us);
      ++counts[chosen];
      balancer_.Acquire(chosen);
      balancer_.Release(chosen);
    }
    return counts;
  }
  uint64_t EjectedUntil(EndpointHandle handle) { return balancer_.HealthOf(handle).ejected_until_us; }
};

TEST_P(HealthTest, FailuresInARowEject) {
  const BackendMap map = MapOf(Four());
  Adopt(map);
  EXPECT_EQ(Fail(10, 0), FailureVerdict::kCounted);
  EXPECT_EQ(Fail(10, 0), FailureVerdict::kCounted);
  EXPECT_GT(Counts(400, 0)[10], 0);
  EXPECT_EQ(Fail(10, 0), FailureVerdict::kEjected);
  EXPECT_EQ(Counts(400, 0).count(10), 0u);
  EXPECT_EQ(Choose({11, 12, 13}, 0), 10u);  // better than nobody
}

TEST_P(HealthTest, AnAnswerBetweenThemResetsTheCount) {
  const BackendMap map = MapOf(Four());
  Adopt(map);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Fail(10, 0), FailureVerdict::kCounted);
    EXPECT_EQ(Fail(10, 0), FailureVerdict::kCounted);
    balancer_.Endpoint(10).streak.Answered();
  }
}

TEST_P(HealthTest, ZeroFailuresMeansNever) {
  auto service = Four();
  service->failures_max = 0;
  const BackendMap map = MapOf(service);
  Adopt(map);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(Fail(10, 0), FailureVerdict::kCounted);
}

TEST_P(HealthTest, TheCapHoldsAndTheNextFailuresAreCountedAnew) {
  const BackendMap map = MapOf(Four());
  Adopt(map);
  Eject(10, 0);
  Eject(11, 0);
  EXPECT_EQ(Fail(12, 0), FailureVerdict::kCounted);
  EXPECT_EQ(Fail(12, 0), FailureVerdict::kCounted);
  EXPECT_EQ(Fail(12, 0), FailureVerdict::kDenied);
  EXPECT_EQ(Fail(12, 0), FailureVerdict::kCounted);
  // It cools for a second, no longer.
  EXPECT_EQ(Counts(100, Health::kCoolUs - 1).count(12), 0u);
  EXPECT_GT(Counts(100, Health::kCoolUs + kSecond / 5)[12], 0);
}

TEST_P(HealthTest, TheTimeDoublesWithEachEjectionInARowUpToItsMost) {
  auto service = Four();
  service->eject_ms = 1000;
  service->eject_max_ms = 6000;
  const BackendMap map = MapOf(service);
  Adopt(map);
  uint64_t now_us = 0;
  for (const uint64_t seconds : {1, 2, 4, 6, 6}) {
    Eject(10, now_us);
    EXPECT_LE(EjectedUntil(10), now_us + seconds * kSecond);
    EXPECT_GE(EjectedUntil(10), now_us + seconds * kSecond * 7 / 8);
    now_us = EjectedUntil(10);
  }
}

TEST_P(HealthTest, OnProbationOneFailureEjects) {
  const BackendMap map = MapOf(Four());
  Adopt(map);
  Eject(10, 0);
  const uint64_t back_us = EjectedUntil(10);
  balancer_.Endpoint(10).streak.Answered();
  EXPECT_EQ(Fail(10, back_us + kSecond), FailureVerdict::kEjected);
}

TEST_P(HealthTest, AttemptsFromBeforeItsReturnSayNothingNew) {
  const BackendMap map = MapOf(Four());
  Adopt(map);
  Eject(10, 1000);
  const uint64_t back_us = EjectedUntil(10);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(balancer_.NoteFailure(10, EjectionReason::kTimeout, 500, back_us + 1), FailureVerdict::kCounted);
  }
  EXPECT_EQ(EjectedUntil(10), back_us);
}

TEST_P(HealthTest, BackItGetsAGrowingShare) {
  const BackendMap map = MapOf(Four());
  Adopt(map);
  Eject(10, 0);
  const uint64_t back_us = EjectedUntil(10);
  EXPECT_NEAR(Counts(8000, back_us)[10], 258, 80);  // a tenth of what each of the others gets
  EXPECT_NEAR(Counts(8000, back_us + Health::kProbationMsMin * 500)[10], 1240, 200);
  EXPECT_NEAR(Counts(8000, back_us + Health::kProbationMsMin * 1000 + kSecond)[10], 2000, 300);
}

TEST_P(HealthTest, TheLevelGoesWhenItAnsweredAndTheRampIsOver) {
  const BackendMap map = MapOf(Four());
  Adopt(map);
  Eject(10, 0);
  uint64_t now_us = EjectedUntil(10) + Health::kProbationMsMin * 1000;
  Eject(10, now_us);  // it never answered: the second in a row
  EXPECT_GT(EjectedUntil(10), now_us + 8 * kSecond);
  now_us = EjectedUntil(10) + Health::kProbationMsMin * 1000;
  balancer_.Endpoint(10).streak.Answered();
  Eject(10, now_us);
  EXPECT_LE(EjectedUntil(10), now_us + 5 * kSecond);
}

TEST_P(HealthTest, FiveHundredsCountOnlyInARow) {
  auto service = Four();
  service->responses_5xx_max = 3;
  const BackendMap map = MapOf(service);
  Adopt(map);
  const auto five = EjectionReason::k5xx;
  EXPECT_EQ(Fail(10, 0, five), FailureVerdict::kCounted);
  EXPECT_EQ(Fail(10, 0, five), FailureVerdict::kCounted);
  balancer_.Endpoint(10).streak.Answered();
  EXPECT_EQ(Fail(10, 0, five), FailureVerdict::kCounted);
  EXPECT_EQ(Fail(10, 0, five), FailureVerdict::kCounted);
  EXPECT_EQ(Fail(10, 0, five), FailureVerdict::kEjected);
}

TEST_P(HealthTest, ItSurvivesAMapAndEndsWhenTheEndpointLeaves) {
  const BackendMap first = MapOf(Four());
  const BackendMap second = MapOf(Four());
  auto without = Four();
  without->ready.erase(without->ready.begin());
  const BackendMap third = MapOf(without);
  Adopt(first);
  Eject(10, 0);
  Adopt(second);
  EXPECT_EQ(Counts(400, 0).count(10), 0u);
  Adopt(third);
  Adopt(first);
  EXPECT_NEAR(Counts(400, 0)[10], 100, 40);
}

TEST_P(HealthTest, ANewcomerGetsATenthOfAnothersShareAtFirst) {
  auto service = ServiceOf(GetParam(), {10, 11, 12});
  const BackendMap first = MapOf(service);
  auto more = Four();
  more->slow_start_ms = 10000;
  const BackendMap second = MapOf(more);
  Adopt(first, 0);
  // The others are busy and it is idle: least requests, too, must not flood it.
  for (int i = 0; i < 30; ++i) balancer_.Acquire(Choose());
  Adopt(second, kSecond);
  EXPECT_NEAR(Counts(8000, kSecond)[13], 258, 80);
  EXPECT_NEAR(Counts(8000, 6 * kSecond)[13], 1240, 200);
}

TEST_P(HealthTest, TheOneThatStayedDoesNotCarryAllNewcomers) {
  auto service = ServiceOf(GetParam(), {10});
  const BackendMap first = MapOf(service);
  auto more = ServiceOf(GetParam(), {10});
  more->slow_start_ms = 10000;
  for (uint32_t handle = 11; handle < 110; ++handle) more->ready.push_back({handle, {}, 1});
  const BackendMap second = MapOf(more);
  Adopt(first, 0);
  Adopt(second, kSecond);
  EXPECT_LT(Counts(8000, kSecond)[10], 1000);
}

TEST_P(HealthTest, NobodyStartsSlowlyWhereNobodyElseIs) {
  auto first = Four();
  first->slow_start_ms = 10000;
  auto replaced = ServiceOf(GetParam(), {20, 21});
  replaced->slow_start_ms = 10000;
  const BackendMap one = MapOf(first), two = MapOf(replaced), none = MapOf(ServiceOf(GetParam(), {}));
  for (const BackendMap* map : {&one, &two, &none, &one}) {
    Adopt(*map, kSecond);
    for (const EndpointHandle h : {10, 11, 12, 13, 20, 21}) EXPECT_EQ(balancer_.Endpoint(h).out_until_us, 0u);
  }
}

TEST_P(HealthTest, FullEndpointsAreNotChosen) {
  auto service = Four();
  service->in_flight_max = 3;
  const BackendMap map = MapOf(service);
  Adopt(map);
  for (int i = 0; i < 12; ++i) {
    const EndpointHandle chosen = Choose();
    ASSERT_NE(chosen, kNoHandle);
    balancer_.Acquire(chosen);
    EXPECT_LE(balancer_.Endpoint(chosen).in_flight, 3u);
  }
  EXPECT_EQ(Choose(), kNoHandle);
  EXPECT_TRUE(full_);
  balancer_.Release(12);
  EXPECT_EQ(Choose(), 12u);
  EXPECT_EQ(Choose({12}), kNoHandle);
  EXPECT_TRUE(full_);
  EXPECT_EQ(Choose({10, 11, 12, 13}), kNoHandle);
  EXPECT_FALSE(full_);
}

TEST_P(HealthTest, WaitingForAFullOneIsBetterThanAnEjectedOne) {
  auto service = ServiceOf(GetParam(), {10, 11});
  service->ejections_max = 1;
  service->in_flight_max = 1;
  const BackendMap map = MapOf(service);
  Adopt(map);
  Eject(10, 0);
  balancer_.Acquire(11);
  EXPECT_EQ(Choose(), kNoHandle);
  EXPECT_TRUE(full_);
  EXPECT_EQ(Choose({11}), 10u);
}

INSTANTIATE_TEST_SUITE_P(All, HealthTest,
                         testing::Values(Balance::kRoundRobin, Balance::kLeastRequests, Balance::kRandomOfTwo, Balance::kLeastLatency));

}  // namespace
}  // namespace ringway::dp
