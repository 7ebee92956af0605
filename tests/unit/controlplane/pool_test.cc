// The rules by which instances become endpoints, with a clock that the test moves.
#include "controlplane/pool/pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace ringway::cp {
namespace {

using enum api::EndpointState;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

class PoolTest : public testing::Test {
 protected:
  // One look, with these instances named by the catalog.
  void Look(std::vector<Instance> instances) {
    named_ = std::move(instances);
    Look();
  }
  void Look() {
    const Pool::Evidence evidence{named_, failing_, ejected_, [this](const std::string& id) { return left_.count(id) != 0; }};
    endpoints_ = pool_.Judge(rules_, evidence, endpoints_, now_);
  }
  void After(milliseconds time) {
    now_ += time;
    Look();
  }
  void Fail(const std::string& id, uint64_t generation = 1) {
    failing_[id] = {generation, "refused"};
    Look();
  }
  void Recover(const std::string& id) {
    failing_.erase(id);
    Look();
  }
  const api::Endpoint& At(const std::string& id) {
    const auto found = std::find_if(endpoints_.begin(), endpoints_.end(), [&](const api::Endpoint& one) { return one.id == id; });
    static const api::Endpoint kNone{.id = "none", .address = "", .state = kDown, .reason = "is not there"};
    return found == endpoints_.end() ? kNone : *found;
  }
  // "rDd" for ready, draining, down, in the order of the ids.
  std::string States() {
    std::string states;
    for (const api::Endpoint& one : endpoints_) states += one.state == kReady ? 'r' : one.state == kDraining ? 'D' : 'd';
    return states;
  }
  static Instance Make(const std::string& id, InstanceHealth health = InstanceHealth::kPassing, uint64_t generation = 1) {
    Instance instance;
    instance.id = id;
    instance.generation = generation;
    instance.address = "10.0.0.1";
    instance.port = static_cast<uint16_t>(1000 + id.back());
    instance.health = health;
    return instance;
  }
  static Instance Critical(const std::string& id) { return Make(id, InstanceHealth::kCritical); }
  static Instance Draining(const std::string& id) {
    Instance instance = Make(id);
    instance.draining = true;
    return instance;
  }
  static std::vector<Instance> Four() { return {Make("a"), Make("b"), Make("c"), Make("d")}; }

  Pool pool_;
  Pool::Rules rules_;
  CheckFailures failing_;
  EjectedEndpoints ejected_;
  std::set<std::string> left_;  // by themselves
  Pool::Time now_{std::chrono::hours(1)};
  std::vector<Instance> named_;
  std::vector<api::Endpoint> endpoints_;
};

TEST_F(PoolTest, AnEndpointIsReadyOnlyWhenNothingSpeaksAgainstIt) {
  Instance critical = Critical("b");
  critical.reason = "HTTP 500";
  Look({Make("a"), critical, Make("c", InstanceHealth::kWarning), Draining("d"), Make("e")});
  Fail("e");
  EXPECT_EQ(States(), "rddDr");
  EXPECT_EQ(At("a").reason, "");
  EXPECT_EQ(At("b").reason, "catalog check critical: HTTP 500");
  EXPECT_EQ(At("c").reason, "a check in the catalog warns");
  EXPECT_THAT(At("e").reason, HasSubstr("kept: too many fail their checks; active check failed: refused"));
  rules_.ejected_percent_max = 100;
  Look();
  EXPECT_EQ(At("e").state, kDown);
  EXPECT_EQ(At("e").reason, "active check failed: refused");
}

TEST_F(PoolTest, MaintenanceDrainsAndSaysWhy) {
  Instance instance = Make("b", InstanceHealth::kMaintenance);
  instance.reason = "disk swap";
  Look({Make("a"), instance});
  EXPECT_EQ(At("b").state, kDraining);
  EXPECT_EQ(At("b").reason, "in maintenance: disk swap");
}

TEST_F(PoolTest, ADrainGoesBeforeAnyHealth) {
  Instance critical = Draining("b");
  critical.health = InstanceHealth::kCritical;
  Look({Make("a"), critical});
  Fail("b");
  EXPECT_EQ(At("b").state, kDraining) << "what is in flight is still counted";
}

TEST_F(PoolTest, TheWeightStaysWithinWhatTheFeedAllows) {
  Instance heavy = Make("a");
  heavy.weight = 65535;
  Instance light = Make("b");
  light.weight = 0;
  Look({heavy, light});
  EXPECT_EQ(At("a").weight, 256u);
  EXPECT_EQ(At("b").weight, 1u);
}

TEST_F(PoolTest, AFailureOfAnotherGenerationDoesNotStick) {
  Look(Four());
  Fail("a", 1);
  EXPECT_EQ(At("a").state, kDown);
  Look({Make("a", InstanceHealth::kPassing, 2), Make("b"), Make("c"), Make("d")});
  EXPECT_EQ(At("a").state, kReady);
}

// The empty hold.

TEST_F(PoolTest, AnEmptyAnswerIsDoubtedAndThenBelieved) {
  Look({Make("a"), Make("b"), Critical("c")});
  Look({});
  EXPECT_EQ(States(), "rr") << "c was not ready before";
  EXPECT_EQ(At("a").reason, "held: the catalog emptied the pool");
  EXPECT_EQ(At("a").address, "10.0.0.1");
  EXPECT_EQ(pool_.held(), 2u);
  EXPECT_EQ(pool_.next_look(), now_ + seconds(10));
  After(milliseconds(9999));
  EXPECT_EQ(States(), "rr");
  After(milliseconds(1));
  EXPECT_EQ(States(), "");
  EXPECT_EQ(pool_.held(), 0u);
  EXPECT_EQ(pool_.next_look(), Pool::Time::max());
}

TEST_F(PoolTest, AllCriticalIsAnEmptyAnswerToo) {
  Look({Make("a"), Make("b")});
  Look({Critical("a"), Critical("b")});
  EXPECT_EQ(States(), "rr");
  After(seconds(10));
  EXPECT_EQ(States(), "dd");
  After(seconds(100));
  EXPECT_EQ(States(), "dd") << "believed once, it is not doubted again";
}

TEST_F(PoolTest, TheCatalogIsBelievedAsSoonAsItNamesAReadyOne) {
  Look({Make("a"), Make("b")});
  Look({});
  Look({Make("c")});
  EXPECT_EQ(States(), "r");
  EXPECT_EQ(At("c").reason, "");
  EXPECT_EQ(pool_.held(), 0u);
}

TEST_F(PoolTest, WhoLeftByItselfIsNotHeld) {
  Look({Make("a"), Make("b"), Make("c")});
  left_ = {"a"};
  Look({Draining("b"), Critical("c")});
  EXPECT_EQ(States(), "Dr") << "a deregistered, b drains, c is doubted";
  EXPECT_EQ(pool_.held(), 1u);
  left_ = {"a", "c"};
  Look({Draining("b")});
  EXPECT_EQ(States(), "D");
  EXPECT_EQ(pool_.held(), 0u) << "nothing is left to doubt";
}

TEST_F(PoolTest, APoolThatWasDrainedOneByOneIsEmptyAtOnce) {
  Look({Make("a"), Make("b")});
  Look({Draining("a"), Make("b")});
  Look({Draining("a"), Make("b", InstanceHealth::kMaintenance)});
  EXPECT_EQ(States(), "DD");
  Look({});
  EXPECT_EQ(States(), "");
}

TEST_F(PoolTest, AMassReplacementWorksAtOnce) {
  Look({Make("a"), Make("b")});
  Look({Make("x"), Make("y"), Make("z")});
  EXPECT_EQ(States(), "rrr");
  EXPECT_EQ(pool_.held(), 0u);
}

TEST_F(PoolTest, AnotherGenerationDoesNotInheritTheHold) {
  Look({Make("a")});
  Look({});
  Look({Make("a", InstanceHealth::kCritical, 2)});
  EXPECT_EQ(States(), "d");
}

TEST_F(PoolTest, AHeldEndpointWhoseCheckFailsIsBelievedToBeGone) {
  Look({Make("a"), Make("b")});
  Look({});
  Fail("a");
  EXPECT_EQ(States(), "r");
  EXPECT_EQ(pool_.held(), 1u);
  Recover("a");
  EXPECT_EQ(States(), "r") << "it is gone";
  Fail("b");
  EXPECT_EQ(States(), "") << "not capped: the catalog said so first";
}

TEST_F(PoolTest, WhoFailsItsCheckAlreadyIsNotHeld) {
  Look({Make("a")});
  Fail("a");
  EXPECT_EQ(States(), "r") << "kept";
  Look({Critical("a")});
  EXPECT_EQ(States(), "d");
  EXPECT_EQ(pool_.held(), 0u);
}

TEST_F(PoolTest, AHoldOfZeroBelievesAtOnce) {
  rules_.empty_hold = milliseconds(0);
  Look({Make("a")});
  Look({});
  EXPECT_EQ(States(), "");
}

TEST_F(PoolTest, WhatWasKnownBeforeARestartIsDoubtedAwayToo) {
  Look({Make("a"), Critical("b")});
  Pool restarted;
  pool_ = std::move(restarted);
  Look({});
  EXPECT_EQ(States(), "r") << "a was ready, b was not";
}

// The cap.

TEST_F(PoolTest, AtMostAShareIsTakenOutByChecksAndWhoFailedFirstStaysOut) {
  Look(Four());
  Fail("c");
  now_ += seconds(1);
  Fail("d");
  now_ += seconds(1);
  Fail("a");
  EXPECT_EQ(States(), "rrdd");
  EXPECT_EQ(pool_.kept(), 1u);
  Recover("c");
  EXPECT_EQ(States(), "drrd") << "a place is free";
  EXPECT_EQ(pool_.kept(), 0u);
}

TEST_F(PoolTest, ThePoolOfOneIsNeverEmptiedByAHalf) {
  Look({Make("a")});
  Fail("a");
  EXPECT_EQ(At("a").state, kReady);
  EXPECT_THAT(At("a").reason, HasSubstr("kept: too many fail their checks"));
}

TEST_F(PoolTest, TheCatalogsWordIsNotCappedButCounts) {
  Look(Four());
  Look({Critical("a"), Critical("b"), Critical("c"), Make("d")});
  EXPECT_EQ(States(), "dddr");
  Fail("d");
  EXPECT_EQ(At("d").state, kReady) << "three of four are down already";
}

TEST_F(PoolTest, WhoDrainsIsNoPartOfThePool) {
  Look({Make("a"), Make("b"), Draining("c"), Draining("d")});
  Fail("a");
  Fail("b");
  EXPECT_EQ(States(), "drDD") << "a half of two";
}

TEST_F(PoolTest, EjectionsOfDataplanesTakePlaces) {
  Look(Four());
  ejected_ = {{"a", 1}, {"b", 1}, {"c", 7}};  // c: another generation
  Look();
  EXPECT_EQ(States(), "rrrr") << "an ejection is the dataplane's own";
  now_ += seconds(1);
  Fail("d");
  EXPECT_EQ(At("d").state, kReady);
  EXPECT_EQ(pool_.kept(), 1u);
  ejected_.erase("a");
  Look();
  EXPECT_EQ(At("d").state, kDown);
}

// Flapping.

TEST_F(PoolTest, EachFurtherFallDoublesTheWait) {
  rules_.ejected_percent_max = 100;
  Look(Four());
  Fail("a");
  Recover("a");
  EXPECT_EQ(At("a").state, kReady) << "the first fall costs nothing";
  for (const int wait_s : {2, 4, 8, 16, 32, 60, 60}) {
    now_ += seconds(1);
    Fail("a");
    Recover("a");
    EXPECT_EQ(At("a").state, kDown);
    EXPECT_EQ(At("a").reason, "flapping: back in " + (wait_s == 60 ? std::string("1m") : std::to_string(wait_s) + "s"));
    EXPECT_EQ(pool_.next_look(), now_ + seconds(wait_s));
    EXPECT_EQ(pool_.FlapsUntil(0), now_ + seconds(wait_s));
    After(seconds(wait_s));
    EXPECT_EQ(At("a").state, kReady);
    EXPECT_EQ(pool_.FlapsUntil(0), std::nullopt);
  }
}

TEST_F(PoolTest, TheCatalogsChecksFlapLikeOurOwn) {
  Look(Four());
  for (int i = 0; i < 2; ++i) {
    Look({Critical("a"), Make("b"), Make("c"), Make("d")});
    Look(Four());
  }
  EXPECT_EQ(At("a").reason, "flapping: back in 2s");
}

TEST_F(PoolTest, StableMinutesAreForgiven) {
  rules_.ejected_percent_max = 100;
  Look(Four());
  for (int i = 0; i < 3; ++i) {  // two further falls
    Fail("a");
    Recover("a");
    After(seconds(10));
  }
  After(seconds(55));  // more than a minute in service
  Fail("a");
  Recover("a");
  EXPECT_EQ(At("a").reason, "flapping: back in 2s") << "one doubling less instead of one more";
  After(seconds(200));
  Fail("a");
  Recover("a");
  EXPECT_EQ(At("a").state, kReady);
}

TEST_F(PoolTest, AFallWhileItWaitsBeginsTheSameWaitAgain) {
  Look(Four());
  Fail("a");
  Recover("a");
  Fail("a");
  Recover("a");
  After(seconds(1));
  Fail("a");
  Recover("a");
  EXPECT_EQ(At("a").reason, "flapping: back in 2s");
  EXPECT_EQ(pool_.next_look(), now_ + seconds(2));
}

TEST_F(PoolTest, DrainsAreNoFalls) {
  Look(Four());
  for (int i = 0; i < 5; ++i) {
    Look({Draining("a"), Make("b"), Make("c"), Make("d")});
    Look({Make("a", InstanceHealth::kMaintenance), Make("b"), Make("c"), Make("d")});
    Look(Four());
  }
  EXPECT_EQ(States(), "rrrr");
}

TEST_F(PoolTest, ANewGenerationStartsFresh) {
  Look(Four());
  for (int i = 0; i < 2; ++i) {
    Fail("a");
    Recover("a");
  }
  EXPECT_EQ(At("a").state, kDown);
  Look({Make("a", InstanceHealth::kPassing, 2), Make("b"), Make("c"), Make("d")});
  EXPECT_EQ(At("a").state, kReady);
}

TEST_F(PoolTest, AFlappingOneIsLetInBeforeOneThatFails) {
  Look({Make("a"), Make("b")});
  for (int i = 0; i < 2; ++i) {
    Fail("a");
    Recover("a");
  }
  EXPECT_EQ(States(), "dr");
  Fail("b");
  EXPECT_EQ(States(), "rd") << "one of two may be out: the one that fails";
  EXPECT_THAT(At("a").reason, HasSubstr("kept: too many fail their checks; flapping"));
}

TEST_F(PoolTest, FlappingCanBeTurnedOff) {
  rules_.flap_hold_max = milliseconds(0);
  Look(Four());
  for (int i = 0; i < 5; ++i) {
    Fail("a");
    Recover("a");
  }
  EXPECT_EQ(States(), "rrrr");
}

// Two that claim one address.

TEST_F(PoolTest, OfTwoThatClaimOneAddressTheNewestRegistrationHasIt) {
  Instance old = Make("a");
  old.registered_index = 5;
  Instance fresh = Make("b");
  fresh.registered_index = 9;
  fresh.port = old.port;
  Look({old, fresh, Make("c")});
  EXPECT_EQ(States(), "drr");
  EXPECT_EQ(At("a").reason, "b has registered the same address later");
  Look({old, Make("c")});
  EXPECT_EQ(States(), "rr") << "the claim is gone with the one that made it";
}

TEST_F(PoolTest, TheNewestHasTheAddressWhateverItsHealth) {
  Instance old = Make("a");
  old.registered_index = 5;
  Instance fresh = Critical("b");
  fresh.registered_index = 9;
  fresh.port = old.port;
  Look({old, fresh, Make("c")});
  EXPECT_EQ(States(), "ddr");
}

TEST_F(PoolTest, AnOutdatedClaimDoesNotHoldAPoolOpen) {
  Instance old = Make("a");
  old.registered_index = 5;
  Look({old});
  Instance fresh = Make("b", InstanceHealth::kMaintenance);
  fresh.registered_index = 9;
  fresh.port = old.port;
  Look({old, fresh});
  EXPECT_EQ(States(), "dD");
}

// Whatever is thrown at a pool: sorted, no more than the share out by Ringway's own word, nobody held longer than the hold, and
// when all is well again everybody is back after the longest wait.
TEST_F(PoolTest, HoldsItsRulesInAnyWeather) {
  std::mt19937 random(7);
  const auto chance = [&random](int percent) { return static_cast<int>(random() % 100) < percent; };
  for (int step = 0; step < 5000; ++step) {
    std::vector<Instance> instances;
    const int bad = chance(20) ? 90 : 15;  // sometimes everything breaks at once
    for (const char* id : {"a", "b", "c", "d", "e", "f"}) {
      if (chance(bad / 2)) continue;
      Instance one = Make(id, chance(bad) ? InstanceHealth::kCritical : chance(5) ? InstanceHealth::kMaintenance : InstanceHealth::kPassing, chance(2) ? 2 : 1);
      one.draining = chance(5);
      if (chance(5)) one.port = 1000 + 'a';
      instances.push_back(one);
      if (chance(bad)) {
        failing_[id] = {1, "refused"};
      } else {
        failing_.erase(id);
      }
      if (chance(10)) ejected_ = {{id, 1}};
      if (chance(10)) left_ = {id};
    }
    now_ += milliseconds(random() % 5000);
    Look(instances);
    size_t in_pool = 0;
    size_t by_ringway = 0;
    for (size_t i = 0; i < endpoints_.size(); ++i) {
      ASSERT_TRUE(i == 0 || endpoints_[i - 1].id < endpoints_[i].id);
      const std::string& reason = endpoints_[i].reason;
      if (endpoints_[i].state != kDraining && reason.find("registered the same address") == std::string::npos) ++in_pool;
      if (endpoints_[i].state == kDown && (reason.starts_with("active check failed") || reason.starts_with("flapping"))) ++by_ringway;
    }
    ASSERT_LE(by_ringway, in_pool / 2) << "step " << step;
    ASSERT_TRUE(pool_.held() == 0 || now_ < pool_.held_until()) << "step " << step;
    ASSERT_TRUE(pool_.next_look() > now_) << "step " << step;
  }
  failing_.clear();
  ejected_.clear();
  Look(Four());
  After(rules_.flap_hold_max);
  EXPECT_EQ(States(), "rrrr");
}

TEST(InstanceOf, IsTheReverseOfWhatAPoolWrites) {
  api::Endpoint endpoint{.id = "n/a", .generation = 3, .address = "10.0.0.1", .port = 80, .weight = 7, .state = kDown, .reason = "active check failed: refused"};
  EXPECT_EQ(CheckFailureOf(endpoint), "refused");
  EXPECT_EQ(InstanceOf(endpoint).health, InstanceHealth::kPassing);
  EXPECT_EQ(InstanceOf(endpoint).generation, 3u);
  EXPECT_EQ(InstanceOf(endpoint).weight, 7u);
  endpoint.reason = "catalog check critical";
  EXPECT_EQ(CheckFailureOf(endpoint), std::nullopt);
  EXPECT_EQ(InstanceOf(endpoint).health, InstanceHealth::kCritical);
  endpoint.state = kDraining;
  EXPECT_TRUE(InstanceOf(endpoint).draining);
}

}  // namespace
}  // namespace ringway::cp
