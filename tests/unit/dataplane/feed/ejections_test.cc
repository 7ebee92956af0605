// What the workers have ejected, added up: one line in and one out, reports only of what can be chosen, storms counted.
#include "dataplane/feed/ejections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

namespace ringway::dp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kSecond = 1'000'000;

class EjectionWatchTest : public ::testing::Test {
 protected:
  EjectionWatchTest() {
    for (EndpointHandle handle = 0; handle < 40; ++handle) {
      EndpointRecord& record = directory_.endpoints[handle];
      record.service = "web";
      record.endpoint.id = "n" + std::to_string(handle);
      record.endpoint.generation = 7;
      record.endpoint.address = "10.0.0.1";
      record.endpoint.port = 80;
    }
  }
  void Eject(size_t worker, EndpointHandle handle, uint64_t until_us, EjectionReason reason = EjectionReason::kConnect) {
    CounterTable& counters = workers_[worker]->counters;
    counters.endpoints[handle].ejected_until_us.Set(until_us);
    counters.endpoints[handle].ejection_reason.Set(static_cast<uint64_t>(reason));
    counters.endpoints[handle].ejections_total.Add();
    counters.worker.ejections_total.Add();
  }

  std::vector<std::unique_ptr<WorkerShared>> workers_ = [] {
    std::vector<std::unique_ptr<WorkerShared>> workers;
    for (int i = 0; i < 2; ++i) workers.push_back(std::make_unique<WorkerShared>());
    return workers;
  }();
  Directory directory_;
  EjectionWatch watch_{directory_, {workers_[0].get(), workers_[1].get()}};
};

TEST_F(EjectionWatchTest, OneLineWhenTheFirstWorkerEjectsAndOneWhenNoneKeepsItOut) {
  EXPECT_THAT(watch_.Poll(100 * kSecond), IsEmpty());
  Eject(0, 3, 105 * kSecond);
  EXPECT_THAT(watch_.Poll(100 * kSecond),
              ElementsAre(AllOf(HasSubstr("service web: endpoint n3 (10.0.0.1 port 80) ejected for 5.0 s"),
                                HasSubstr("connections fail"), HasSubstr("all workers: 1"))));
  Eject(1, 3, 106 * kSecond, EjectionReason::kTimeout);
  EXPECT_THAT(watch_.Poll(101 * kSecond), IsEmpty());
  EXPECT_THAT(watch_.Poll(105 * kSecond), IsEmpty()) << "the second worker keeps it out";
  EXPECT_THAT(watch_.Poll(106 * kSecond), ElementsAre(HasSubstr("endpoint n3 (10.0.0.1 port 80) takes requests again after 6.0 s")));
  EXPECT_THAT(watch_.Poll(107 * kSecond), IsEmpty());
}

TEST_F(EjectionWatchTest, ReportsAddUpTheWorkersAndChangeOnlyWithNews) {
  Eject(0, 3, 105 * kSecond);
  watch_.Poll(100 * kSecond);
  uint64_t changes = watch_.changes();
  EXPECT_EQ(watch_.Ejected(100 * kSecond),
            (std::vector<api::Ejection>{{"web", "n3", 7, 1, 5000, 1, "connections fail"}}));
  watch_.Poll(101 * kSecond);
  EXPECT_EQ(watch_.changes(), changes) << "time that passes is no news";
  Eject(1, 3, 109 * kSecond, EjectionReason::k5xx);
  watch_.Poll(101 * kSecond);
  EXPECT_GT(watch_.changes(), changes);
  EXPECT_EQ(watch_.Ejected(101 * kSecond),
            (std::vector<api::Ejection>{{"web", "n3", 7, 2, 8000, 2, "answers 5xx"}}));
  changes = watch_.changes();
  watch_.Poll(105 * kSecond);
  EXPECT_GT(watch_.changes(), changes) << "one worker less";
  changes = watch_.changes();
  watch_.Poll(109 * kSecond);
  EXPECT_GT(watch_.changes(), changes);
  EXPECT_THAT(watch_.Ejected(109 * kSecond), IsEmpty());
}

TEST_F(EjectionWatchTest, EjectedAnewBetweenTwoLooksIsSaid) {
  Eject(0, 3, 105 * kSecond);
  watch_.Poll(100 * kSecond);
  Eject(0, 3, 115 * kSecond + 10);
  EXPECT_THAT(watch_.Poll(105 * kSecond + 10), ElementsAre(HasSubstr("ejected again for 10.0 s")));
}

TEST_F(EjectionWatchTest, OneThatIsDownOrHasLeftIsNoEjectionAnyMore) {
  Eject(0, 3, 105 * kSecond);
  watch_.Poll(100 * kSecond);
  const uint64_t changes = watch_.changes();
  directory_.endpoints[3].endpoint.state = api::EndpointState::kDown;
  EXPECT_THAT(watch_.Poll(101 * kSecond), IsEmpty());
  EXPECT_GT(watch_.changes(), changes);
  EXPECT_THAT(watch_.Ejected(101 * kSecond), IsEmpty());
  directory_.endpoints[3].endpoint.state = api::EndpointState::kReady;
  watch_.Poll(102 * kSecond);
  EXPECT_THAT(watch_.Ejected(102 * kSecond), SizeIs(1)) << "back in the pool, and still kept out";
  directory_.endpoints.erase(3);
  EXPECT_THAT(watch_.Ejected(103 * kSecond), IsEmpty());
  EXPECT_THAT(watch_.Poll(103 * kSecond), IsEmpty());
}

TEST_F(EjectionWatchTest, ACountThatIsSeenBeforeItsEndIsNotMissed) {
  workers_[0]->counters.worker.ejections_total.Add();
  EXPECT_THAT(watch_.Poll(100 * kSecond), IsEmpty());
  workers_[0]->counters.endpoints[3].ejected_until_us.Set(105 * kSecond);
  EXPECT_THAT(watch_.Poll(100 * kSecond + 50000), SizeIs(1));
}

TEST_F(EjectionWatchTest, AStormIsTenLinesAndASum) {
  for (EndpointHandle handle = 0; handle < 40; ++handle) Eject(0, handle, 200 * kSecond);
  EXPECT_THAT(watch_.Poll(100 * kSecond), SizeIs(10));
  EXPECT_THAT(watch_.Ejected(100 * kSecond), SizeIs(40));
  EXPECT_THAT(watch_.Poll(109 * kSecond), IsEmpty());
  EXPECT_THAT(watch_.Poll(110 * kSecond),
              ElementsAre(AllOf(HasSubstr("30 more ejections and returns"), HasSubstr("40 endpoints are kept out now"))));
  EXPECT_THAT(watch_.Poll(120 * kSecond), IsEmpty());
  EXPECT_THAT(watch_.Poll(200 * kSecond), SizeIs(10));
}

}  // namespace
}  // namespace ringway::dp
