// success_before_passing and failures_before_critical as Consul counts them (facts: the first result counts at once).
#include <gtest/gtest.h>

#include "sidecar/checks/check.h"

namespace ringway::sidecar {
namespace {

constexpr CheckStatus kPass = CheckStatus::kPassing;
constexpr CheckStatus kWarn = CheckStatus::kWarning;
constexpr CheckStatus kFail = CheckStatus::kCritical;

Threshold Make(int successes, int failures) {
  CheckDefinition check;
  check.success_before_passing = successes;
  check.failures_before_critical = failures;
  return Threshold(check);
}

TEST(Threshold, WithoutNumbersEveryResultCounts) {
  Threshold threshold = Make(0, 0);
  for (const CheckStatus status : {kPass, kFail, kWarn, kPass}) EXPECT_EQ(threshold.Take(status), status);
}

TEST(Threshold, TheFirstResultCountsAtOnce) {
  EXPECT_EQ(Make(3, 3).Take(kPass), kPass);
  EXPECT_EQ(Make(3, 3).Take(kFail), kFail);
}

TEST(Threshold, AChangeNeedsThreeInARow) {
  Threshold threshold = Make(3, 3);
  threshold.Take(kPass);
  EXPECT_EQ(threshold.Take(kFail), kPass);
  EXPECT_EQ(threshold.Take(kFail), kPass);
  EXPECT_EQ(threshold.Take(kPass), kPass);
  EXPECT_EQ(threshold.Take(kFail), kPass);
  EXPECT_EQ(threshold.Take(kFail), kPass);
  EXPECT_EQ(threshold.Take(kFail), kFail);
  EXPECT_EQ(threshold.Take(kPass), kFail);
  EXPECT_EQ(threshold.Take(kPass), kFail);
  EXPECT_EQ(threshold.Take(kPass), kPass);
}

TEST(Threshold, ResetMakesTheNextResultTheFirst) {
  Threshold threshold = Make(3, 3);
  threshold.Take(kFail);
  threshold.Reset();
  EXPECT_EQ(threshold.Take(kPass), kPass);
}

}  // namespace
}  // namespace ringway::sidecar
