// TimerWheel: never early, never lost, also over rounds, jumps of the clock, and changes made while it fires.
#include "dataplane/core/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

namespace ringway::dp {
namespace {

constexpr uint64_t kTick = TimerWheel::kTickUs;
constexpr uint64_t kRound = kTick * TimerWheel::kSlots;

std::vector<uint32_t> Fired(TimerWheel& wheel, uint64_t now_us) {
  std::vector<uint32_t> fired;
  wheel.Advance(now_us, [&](uint32_t timer) { fired.push_back(timer); });
  return fired;
}

class TimerWheelTest : public testing::Test {
 protected:
  TimerWheelTest() {
    for (uint32_t t = 0; t < 64; ++t) wheel_.Init(t);
  }
  TimerWheel wheel_{64};
};

TEST_F(TimerWheelTest, FiresOnceAndNotBeforeItsDeadline) {
  wheel_.Set(3, 50'000);
  EXPECT_TRUE(Fired(wheel_, 49'999).empty());
  EXPECT_EQ(Fired(wheel_, 50'000 + kTick), std::vector<uint32_t>{3});
  EXPECT_TRUE(Fired(wheel_, 10 * kRound).empty());
  EXPECT_EQ(wheel_.linked(), 0u);
}

TEST_F(TimerWheelTest, DeadlineBeyondOneRoundWaitsForItsOwn) {
  wheel_.Set(1, 3 * kRound + kTick / 2);
  for (uint64_t now = 0; now <= 3 * kRound; now += kRound / 7) EXPECT_TRUE(Fired(wheel_, now).empty()) << now;
  EXPECT_EQ(Fired(wheel_, 3 * kRound + 2 * kTick), std::vector<uint32_t>{1});
}

TEST_F(TimerWheelTest, LaterDeadlineReplacesEarlierOne) {
  wheel_.Set(1, 5 * kTick);
  wheel_.Set(1, 50 * kTick);
  EXPECT_TRUE(Fired(wheel_, 49 * kTick).empty());
  EXPECT_EQ(Fired(wheel_, 51 * kTick).size(), 1u);
}

TEST_F(TimerWheelTest, EarlierDeadlineReplacesLaterOne) {
  wheel_.Set(1, 500 * kTick);
  wheel_.Set(1, 5 * kTick);
  EXPECT_EQ(Fired(wheel_, 6 * kTick).size(), 1u);
  EXPECT_TRUE(Fired(wheel_, 600 * kTick).empty());
}

TEST_F(TimerWheelTest, ClearedTimerDoesNotFire) {
  wheel_.Set(1, 5 * kTick);
  wheel_.Set(2, 5 * kTick);
  wheel_.Clear(1);
  EXPECT_EQ(Fired(wheel_, kRound), std::vector<uint32_t>{2});
}

TEST_F(TimerWheelTest, JumpOfTheClockFiresAllThatIsDueAndNothingElse) {
  wheel_.Set(1, kTick);
  wheel_.Set(2, 5 * kRound);
  wheel_.Set(3, 90 * kRound);
  std::vector<uint32_t> fired = Fired(wheel_, 60 * kRound);
  std::sort(fired.begin(), fired.end());
  EXPECT_EQ(fired, (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(wheel_.linked(), 1u);
}

TEST_F(TimerWheelTest, FiringMaySetItselfAgainAndClearOthers) {
  wheel_.Set(1, 3 * kTick);
  wheel_.Set(2, 3 * kTick);
  uint32_t fired = 0;
  wheel_.Advance(4 * kTick, [&](uint32_t timer) {
    ++fired;
    wheel_.Clear(timer == 1 ? 2 : 1);
    wheel_.Set(timer, 4 * kTick);  // due at once: fires in a later turn, not in this one for ever
  });
  EXPECT_EQ(fired, 1u);
  EXPECT_EQ(Fired(wheel_, 6 * kTick).size(), 1u);
}

TEST_F(TimerWheelTest, WaitEndsBeforeTheNextDeadlineCanBeMissed) {
  EXPECT_EQ(wheel_.WaitMs(0, 1000), 1000u);
  wheel_.Set(1, 100'000);
  const uint32_t wait = wheel_.WaitMs(0, 1000);
  EXPECT_LE(wait, (100'000 + 2 * kTick) / 1000 + 1);
  EXPECT_EQ(Fired(wheel_, uint64_t{wait} * 1000).size(), 1u);
}

// Against the plainest model: a map of deadlines.
TEST_F(TimerWheelTest, AgreesWithAMapOfDeadlines) {
  std::mt19937_64 random(7);
  std::map<uint32_t, uint64_t> model;
  uint64_t now = 123'456'789;
  Fired(wheel_, now);
  for (int step = 0; step < 20'000; ++step) {
    const auto timer = static_cast<uint32_t>(random() % 64);
    switch (random() % 4) {
      case 0:
        wheel_.Clear(timer);
        model.erase(timer);
        break;
      case 1:
        now += random() % 100 == 0 ? random() % (3 * kRound) : random() % (2 * kTick);
        wheel_.Advance(now, [&](uint32_t fired) {
          ASSERT_TRUE(model.contains(fired));
          EXPECT_LE(model[fired], now) << "early";
          model.erase(fired);
        });
        for (const auto& [left, deadline] : model) EXPECT_GT(deadline + 2 * kTick, now) << "missed " << left;
        break;
      default:
        model[timer] = now + random() % (random() % 4 == 0 ? 2 * kRound : 20 * kTick);
        wheel_.Set(timer, model[timer]);
    }
    ASSERT_EQ(wheel_.linked(), model.size());
  }
}

}  // namespace
}  // namespace ringway::dp
