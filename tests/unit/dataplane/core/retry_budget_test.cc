// The retry budget: what it grants at once, and what in the long run.
#include "dataplane/core/retry_budget.h"

#include <gtest/gtest.h>

namespace ringway::dp {
namespace {

constexpr uint64_t kBurst = 256;

ServiceEntry Service(uint32_t percent, uint32_t per_second_min) {
  ServiceEntry service;
  service.retry_percent = percent;
  service.retry_per_second_min = per_second_min;
  return service;
}

uint64_t Drain(RetryBudget& budget, const ServiceEntry& service, uint64_t requests, uint64_t now_us) {
  uint64_t granted = 0;
  while (budget.Spend(service, kBurst, requests, now_us)) ++granted;
  return granted;
}

TEST(RetryBudget, AnEndpointThatDiesWithManyInFlightIsRetriedWhole) {
  RetryBudget budget;
  EXPECT_EQ(Drain(budget, Service(20, 0), 1000, 5), kBurst);
}

TEST(RetryBudget, RequestsEarnTheirPercent) {
  RetryBudget budget;
  const ServiceEntry service = Service(20, 0);
  Drain(budget, service, 1000, 0);
  EXPECT_EQ(Drain(budget, service, 1004, 0), 0u);
  EXPECT_EQ(Drain(budget, service, 1005, 0), 1u);
  EXPECT_EQ(Drain(budget, service, 1105, 0), 20u);
}

TEST(RetryBudget, TimeEarnsTheMinimumHoweverOftenItIsAsked) {
  RetryBudget budget;
  const ServiceEntry service = Service(0, 2);
  Drain(budget, service, 0, 0);
  uint64_t granted = 0;
  for (uint64_t now_us = 0; now_us <= 10000000; now_us += 7) granted += budget.Spend(service, kBurst, 0, now_us) ? 1 : 0;
  EXPECT_EQ(granted, 19u);
}

TEST(RetryBudget, NeverMoreThanItsBurstAtOnce) {
  RetryBudget budget;
  const ServiceEntry service = Service(100, 10);
  Drain(budget, service, 0, 0);
  EXPECT_EQ(Drain(budget, service, ~0ull >> 1, ~0ull >> 1), kBurst);
}

TEST(RetryBudget, ZeroOfBothIsNone) {
  RetryBudget budget;
  EXPECT_FALSE(budget.Spend(Service(0, 0), kBurst, 1000, 1000000));
}

TEST(RetryBudget, AServiceWhoseCounterBeganAnewBeginsAnew) {
  RetryBudget budget;
  const ServiceEntry service = Service(20, 0);
  Drain(budget, service, 1000, 0);
  EXPECT_EQ(Drain(budget, service, 3, 0), kBurst);
}

}  // namespace
}  // namespace ringway::dp
