// Deltas: apply(before, delta(before, after)) == after, and what does not fit changes nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/api/feed_json.h"
#include "tests/unit/common/feed_samples.h"

namespace ringway::api {
namespace {

Snapshot RandomSnapshot(std::mt19937_64& random) {
  Snapshot snapshot = SampleSnapshot();
  snapshot.services.clear();
  for (const char* name : {"api", "mysql", "web"}) {
    Service service;
    service.name = name;
    service.endpoints = RandomEndpoints(random);
    snapshot.services.push_back(service);
  }
  return snapshot;
}

TEST(FeedDelta, LeadsFromAnySnapshotToAnyOther) {
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const Snapshot before = RandomSnapshot(random);
    Snapshot after = random() % 8 == 0 ? before : RandomSnapshot(random);
    after.version = before.version + 1;
    const auto delta = MakeDelta(before, after);
    ASSERT_TRUE(delta.ok()) << delta.status();
    const auto travelled = DecodeMessage(EncodeMessage(*delta));
    ASSERT_TRUE(travelled.ok()) << travelled.status();
    Snapshot applied = before;
    ASSERT_TRUE(ApplyDelta(std::get<Delta>(*travelled), applied).ok());
    ASSERT_EQ(applied, after);
  }
}

TEST(FeedDelta, CarriesOnlyWhatChanged) {
  Snapshot before = SampleSnapshot();
  Snapshot after = before;
  ++after.version;
  after.services[0].endpoints[0].state = EndpointState::kDraining;
  const auto delta = MakeDelta(before, after);
  ASSERT_TRUE(delta.ok());
  ASSERT_EQ(delta->services.size(), 1u);
  EXPECT_EQ(delta->services[0].upserted, std::vector<Endpoint>{after.services[0].endpoints[0]});
  EXPECT_TRUE(delta->services[0].removed.empty());
}

TEST(FeedDelta, ConfigChangesNeedAWholeSnapshot) {
  const Snapshot before = SampleSnapshot();
  const auto refused = [&](auto change) {
    Snapshot after = before;
    change(after);
    return MakeDelta(before, after).status().code() == absl::StatusCode::kFailedPrecondition;
  };
  EXPECT_TRUE(refused([](Snapshot& s) { s.epoch = "other"; }));
  EXPECT_TRUE(refused([](Snapshot& s) { s.services.clear(); }));
  EXPECT_TRUE(refused([](Snapshot& s) { s.services[0].retries_max = 99; }));
  EXPECT_TRUE(refused([](Snapshot& s) { s.services[0].timeouts.idle_ms = 99; }));
  EXPECT_TRUE(refused([](Snapshot& s) { s.listeners[0].bind = "0.0.0.0:81"; }));
  EXPECT_TRUE(refused([](Snapshot& s) { s.stats.password = "x"; }));
  EXPECT_TRUE(refused([](Snapshot& s) { s.sessions_max = 1; }));
  EXPECT_TRUE(refused([](Snapshot& s) { s.handover_timeout_ms = 1; }));
  EXPECT_TRUE(refused([](Snapshot& s) { s.services[0].retry_budget.percent = 99; }));
  EXPECT_TRUE(refused([](Snapshot& s) { s.services[0].passive_health.eject_ms = 99; }));
  EXPECT_TRUE(refused([](Snapshot& s) { s.services[0].ejected_percent_max = 99; }));
  EXPECT_TRUE(refused([](Snapshot& s) { s.services[0].slow_start_ms = 99; }));
  EXPECT_TRUE(refused([](Snapshot& s) { s.services[0].endpoint_limit.in_flight_max = 99; }));
  EXPECT_TRUE(refused([](Snapshot& s) { s.services[0].hold.timeout_ms = 99; }));
}

TEST(FeedDelta, OneThatDoesNotFitChangesNothing) {
  const Snapshot before = SampleSnapshot();
  Delta good{before.epoch, before.version, before.version + 1, {{"web", {SampleEndpoint("new")}, {"a/1"}}}};
  const auto refused = [&](auto change) {
    Delta delta = good;
    change(delta);
    Snapshot snapshot = before;
    const bool failed =
        ApplyDelta(delta, snapshot).code() == absl::StatusCode::kFailedPrecondition;
    return failed && snapshot == before;
  };
  EXPECT_TRUE(refused([](Delta& d) { d.epoch = "other"; }));
  EXPECT_TRUE(refused([](Delta& d) { --d.from_version; }));
  EXPECT_TRUE(refused([](Delta& d) { d.services.push_back({"unknown", {}, {}}); }));
  EXPECT_TRUE(refused([](Delta& d) { d.services[0].removed.push_back("unknown"); }));
  Snapshot snapshot = before;
  EXPECT_TRUE(ApplyDelta(good, snapshot).ok());
  EXPECT_EQ(snapshot.services[0].endpoints.size(), 2u);
}

}  // namespace
}  // namespace ringway::api
