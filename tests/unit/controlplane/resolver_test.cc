// Config, discovery and health become one snapshot; versions move only when something changed.
#include "controlplane/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "common/api/feed_json.h"
#include "controlplane/config/load.h"
#include "controlplane/last_known.h"
#include "tests/unit/controlplane/loop.h"

namespace ringway::cp {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Config ParseOrDie(const std::string& text) {
  auto loaded = ParseConfig(text, "f.json", "");
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded->config;
}

// Two services without active checks.
std::string TwoServices(const std::string& more = "", const std::string& more_of_web = "") {
  return R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "routes": [{"service": "web"}, {"path": "/api", "service": "api"}]}],
             "services": {"web": {"health_check": false)" + (more_of_web.empty() ? "" : ", " + more_of_web) + R"(}, "api": {"health_check": false}})" + more + "}";
}

class ResolverTest : public testing::Test {
 protected:
  ResolverTest() {
    resolver_.OnPublish([this](const api::Snapshot& now, const api::Delta* delta) {
      ++published_;
      last_delta_ = delta == nullptr ? std::nullopt : std::optional(*delta);
      // What a dataplane makes of it must equal what the control plane holds.
      if (delta == nullptr) {
        mirror_ = now;
      } else {
        EXPECT_TRUE(api::ApplyDelta(*delta, mirror_).ok());
      }
      EXPECT_EQ(mirror_, now);
    });
  }
  const std::vector<api::Endpoint>& Endpoints(const std::string& service) {
    for (const api::Service& candidate : resolver_.snapshot().services) {
      if (candidate.name == service) return candidate.endpoints;
    }
    ADD_FAILURE() << service;
    static const std::vector<api::Endpoint> kNone;
    return kNone;
  }

  TempDir dir_;
  boost::asio::io_context io_;
  ScriptedSource catalog_{io_};
  Checker checker_{io_};
  FeedState state_{dir_.path()};
  Resolver resolver_{io_, catalog_, checker_, state_};
  int published_ = 0;
  std::optional<api::Delta> last_delta_;
  api::Snapshot mirror_;
};

TEST_F(ResolverTest, TheFirstConfigTravelsWhole) {
  catalog_.Set("web", {MakeInstance("n/a"), MakeInstance("n/b", 1, 81)});
  resolver_.Configure(ParseOrDie(TwoServices()));
  EXPECT_EQ(published_, 1);
  EXPECT_FALSE(last_delta_);
  EXPECT_EQ(resolver_.snapshot().version, 1u);
  EXPECT_EQ(Endpoints("web").size(), 2u);
  EXPECT_TRUE(Endpoints("api").empty());
  EXPECT_EQ(resolver_.snapshot().listeners.size(), 1u);
}

TEST_F(ResolverTest, ChangesOfOneTurnBecomeOneDeltaOfTheTouchedServiceOnly) {
  resolver_.Configure(ParseOrDie(TwoServices()));
  const int asked_api = catalog_.asked["api"];
  catalog_.Set("web", {MakeInstance("n/a")});
  catalog_.Set("web", {MakeInstance("n/a"), MakeInstance("n/b", 1, 81)});
  ASSERT_TRUE(RunUntil(io_, [&] { return published_ == 2; }));
  EXPECT_EQ(resolver_.snapshot().version, 2u);
  ASSERT_TRUE(last_delta_);
  ASSERT_EQ(last_delta_->services.size(), 1u);
  EXPECT_EQ(last_delta_->services[0].upserted.size(), 2u);
  EXPECT_EQ(catalog_.asked["api"], asked_api);
}

TEST_F(ResolverTest, ANoOpChangeIsNoUpdate) {
  catalog_.Set("web", {MakeInstance("n/a")});
  resolver_.Configure(ParseOrDie(TwoServices()));
  const int asked = catalog_.asked["web"];
  catalog_.Changed("web");
  ASSERT_TRUE(RunUntil(io_, [&] { return catalog_.asked["web"] > asked; }));
  resolver_.Configure(ParseOrDie(TwoServices()));
  EXPECT_EQ(published_, 1);
  EXPECT_EQ(resolver_.snapshot().version, 1u);
}

TEST_F(ResolverTest, AServiceNobodyRoutesToIsNotLookedAt) {
  resolver_.Configure(ParseOrDie(TwoServices()));
  catalog_.Set("other", {MakeInstance("n/x")});
  catalog_.Set("web", {MakeInstance("n/a")});
  ASSERT_TRUE(RunUntil(io_, [&] { return published_ == 2; }));
  EXPECT_EQ(catalog_.asked["other"], 0);
}

TEST_F(ResolverTest, AReloadThatChangesSettingsTravelsWholeAndKeepsEndpoints) {
  catalog_.Set("web", {MakeInstance("n/a")});
  resolver_.Configure(ParseOrDie(TwoServices()));
  resolver_.Configure(ParseOrDie(TwoServices(R"(, "shutdown_timeout": "5s")")));
  EXPECT_EQ(published_, 2);
  EXPECT_FALSE(last_delta_);
  EXPECT_EQ(resolver_.snapshot().shutdown_timeout_ms, 5000u);
  EXPECT_EQ(Endpoints("web").size(), 1u);
}

TEST_F(ResolverTest, AReloadThatChangesOnlyStaticEndpointsIsADelta) {
  const auto with = [](const std::string& endpoints) {
    return R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "service": "web"}], "services": {"web": {"health_check": false, "endpoints": [)" + endpoints + "]}}}";
  };
  resolver_.Configure(ParseOrDie(with(R"("10.0.0.1:80", "10.0.0.2:80")")));
  EXPECT_EQ(catalog_.asked["web"], 0);
  ASSERT_TRUE(resolver_.SourceOf("web").SetDraining("web", "static/10.0.0.2:80", true));
  resolver_.Configure(ParseOrDie(with(R"("10.0.0.2:80", "10.0.0.3:80")")));
  ASSERT_TRUE(last_delta_);
  ASSERT_EQ(Endpoints("web").size(), 2u);
  EXPECT_EQ(Endpoints("web")[0].state, api::EndpointState::kDraining) << "a reload keeps it";
  EXPECT_EQ(Endpoints("web")[1].id, "static/10.0.0.3:80");
}

TEST_F(ResolverTest, AnEmptiedPoolIsHeldUntilItsTimeIsOver) {
  catalog_.Set("web", {MakeInstance("n/a")});
  resolver_.Configure(ParseOrDie(TwoServices("", R"("empty_hold": "20ms")")));
  catalog_.Set("web", {});
  ASSERT_TRUE(RunUntil(io_, [&] { return resolver_.PoolOf("web")->held() == 1; }));
  EXPECT_EQ(Endpoints("web")[0].state, api::EndpointState::kReady);
  EXPECT_EQ(Endpoints("web")[0].reason, "held: the catalog emptied the pool");
  ASSERT_TRUE(RunUntil(io_, [&] { return Endpoints("web").empty(); })) << "by a timer, nothing else happens";
}

TEST_F(ResolverTest, WhoLeftByItselfEmptiesThePoolAtOnce) {
  catalog_.Set("web", {MakeInstance("n/a")});
  resolver_.Configure(ParseOrDie(TwoServices()));
  catalog_.left_by_themselves = {"web n/a"};
  catalog_.Set("web", {});
  ASSERT_TRUE(RunUntil(io_, [&] { return published_ == 2; }));
  EXPECT_TRUE(Endpoints("web").empty());
}

TEST_F(ResolverTest, WhatWasKnownBeforeARestartStaysUntilTheCatalogAnswers) {
  api::Service web;
  web.name = "web";
  web.endpoints.push_back({.id = "n/a", .generation = 4, .address = "10.0.0.1", .port = 80, .reason = ""});
  web.endpoints.push_back({.id = "n/b", .generation = 1, .address = "10.0.0.2", .port = 80, .state = api::EndpointState::kDraining, .reason = "x"});
  catalog_.knows = false;
  resolver_.Restore({web});
  resolver_.Configure(ParseOrDie(TwoServices()));
  ASSERT_EQ(Endpoints("web").size(), 2u);
  EXPECT_EQ(Endpoints("web")[0].state, api::EndpointState::kReady);
  EXPECT_EQ(Endpoints("web")[0].generation, 4u);
  EXPECT_EQ(Endpoints("web")[1].state, api::EndpointState::kDraining);
  catalog_.knows = true;
  catalog_.Set("web", {MakeInstance("n/c")});
  ASSERT_TRUE(RunUntil(io_, [&] { return published_ == 2; }));
  ASSERT_EQ(Endpoints("web").size(), 1u);
  EXPECT_EQ(Endpoints("web")[0].id, "n/c");
}

TEST_F(ResolverTest, AnEndpointThatItsCheckHadTakenDownIsDownAfterARestart) {
  catalog_.Set("web", {MakeInstance("n/a"), MakeInstance("n/b", 1, 81)});
  api::Service web;
  web.name = "web";
  web.endpoints.push_back({.id = "n/a", .generation = 1, .address = "127.0.0.1", .port = 80, .state = api::EndpointState::kDown, .reason = "active check failed: refused"});
  web.endpoints.push_back({.id = "n/b", .generation = 9, .address = "127.0.0.1", .port = 81, .state = api::EndpointState::kDown, .reason = "active check failed: refused"});
  resolver_.Restore({web});
  resolver_.Configure(ParseOrDie(R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "service": "web"}]})"));
  EXPECT_EQ(Endpoints("web")[0].state, api::EndpointState::kDown);
  EXPECT_EQ(Endpoints("web")[0].reason, "active check failed: refused");
  EXPECT_EQ(Endpoints("web")[1].state, api::EndpointState::kReady) << "another generation since";
}

TEST_F(ResolverTest, ADrainOfAnEndpointInTheFileOutlivesARestart) {
  api::Service web;
  web.name = "web";
  for (const char* address : {"10.0.0.1", "10.0.0.2"}) {
    const auto state = web.endpoints.empty() ? api::EndpointState::kDraining : api::EndpointState::kReady;
    web.endpoints.push_back({.id = std::string("static/") + address + ":80", .generation = 1, .address = address, .port = 80, .state = state, .reason = ""});
  }
  resolver_.Restore({web});
  resolver_.Configure(ParseOrDie(R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "service": "web"}],
    "services": {"web": {"health_check": false, "endpoints": ["10.0.0.1:80", "10.0.0.3:80"]}}})"));
  ASSERT_EQ(Endpoints("web").size(), 2u);
  EXPECT_EQ(Endpoints("web")[0].state, api::EndpointState::kDraining);
  EXPECT_EQ(Endpoints("web")[1].state, api::EndpointState::kReady);
}

TEST_F(ResolverTest, ChangesAreTakenOneByOneWhereTheCatalogCan) {
  catalog_.tells_changes = true;
  catalog_.Set("web", {MakeInstance("n/a"), MakeInstance("n/b", 1, 81), MakeInstance("n/c", 1, 82)});
  resolver_.Configure(ParseOrDie(TwoServices()));
  const int asked = catalog_.asked["web"];
  Instance unusable = MakeInstance("n/c", 1, 0);
  catalog_.changes["web"] = {{"n/a", std::nullopt}, {"n/b", MakeInstance("n/b", 2, 81)}, {"n/bb", MakeInstance("n/bb", 1, 83)}, {"n/c", unusable}};
  catalog_.Changed("web");
  ASSERT_TRUE(RunUntil(io_, [&] { return published_ == 2; }));
  ASSERT_EQ(Endpoints("web").size(), 2u);
  EXPECT_EQ(Endpoints("web")[0].id, "n/b");
  EXPECT_EQ(Endpoints("web")[0].generation, 2u);
  EXPECT_EQ(Endpoints("web")[1].id, "n/bb");
  EXPECT_EQ(catalog_.asked["web"], asked) << "nothing else was looked at";
}

TEST_F(ResolverTest, EjectionsOfDataplanesAreLookedAt) {
  catalog_.Set("web", {MakeInstance("n/a"), MakeInstance("n/b", 1, 81)});
  resolver_.Configure(ParseOrDie(TwoServices()));
  const int asked = catalog_.asked["web"];
  resolver_.SetEjected("web", {{"n/a", 1}});
  ASSERT_TRUE(RunUntil(io_, [&] { return catalog_.asked["web"] > asked; }));
  EXPECT_EQ(published_, 1) << "the dataplane keeps it out by itself";
  resolver_.SetEjected("unknown", {{"n/a", 1}});
}

TEST_F(ResolverTest, AServiceThatIsNotRoutedToAnyMoreIsForgotten) {
  resolver_.Configure(ParseOrDie(TwoServices()));
  resolver_.Configure(ParseOrDie(R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "service": "web"}]})"));
  EXPECT_THAT(catalog_.forgotten, ElementsAre("api"));
  EXPECT_EQ(resolver_.PoolOf("api"), nullptr);
}

TEST_F(ResolverTest, AnotherGenerationAtTheSameAddressTravels) {
  catalog_.Set("web", {MakeInstance("n/a", 1)});
  resolver_.Configure(ParseOrDie(TwoServices()));
  catalog_.Set("web", {MakeInstance("n/a", 2)});
  ASSERT_TRUE(RunUntil(io_, [&] { return published_ == 2; }));
  EXPECT_EQ(last_delta_->services[0].upserted[0].generation, 2u);
}

TEST_F(ResolverTest, AnInstanceWithoutAUsableAddressIsLeftOut) {
  Instance named = MakeInstance("n/named");
  named.address = "web.example";
  catalog_.Set("web", {MakeInstance("n/a"), named, MakeInstance("n/portless", 1, 0)});
  resolver_.Configure(ParseOrDie(TwoServices()));
  ASSERT_EQ(Endpoints("web").size(), 1u);
  EXPECT_EQ(Endpoints("web")[0].id, "n/a");
}

TEST(DiffEndpoints, NamesWhatCameChangedAndWent) {
  const auto endpoint = [](const char* id, uint64_t generation) { return api::Endpoint{.id = id, .generation = generation, .address = "10.0.0.1", .port = 80, .reason = ""}; };
  const std::vector<api::Endpoint> before = {endpoint("a", 1), endpoint("b", 1), endpoint("d", 1)};
  const std::vector<api::Endpoint> after = {endpoint("b", 2), endpoint("c", 1), endpoint("d", 1)};
  const auto delta = DiffEndpoints("web", before, after);
  ASSERT_TRUE(delta);
  EXPECT_THAT(delta->removed, ElementsAre("a"));
  EXPECT_THAT(delta->upserted, ElementsAre(endpoint("b", 2), endpoint("c", 1)));
  EXPECT_FALSE(DiffEndpoints("web", after, after));
  EXPECT_EQ(DiffEndpoints("web", after, {})->removed.size(), 3u);
}

TEST(FeedState, VersionsGrowOverRestartsOfEitherKind) {
  const TempDir dir;
  std::string epoch;
  uint64_t last = 0;
  for (int life = 0; life < 3; ++life) {
    FeedState state(dir.path());
    EXPECT_EQ(state.problem(), "");
    if (life == 0) epoch = state.epoch();
    EXPECT_EQ(state.epoch(), epoch);
    for (int i = 0; i < 2500; ++i) {
      const uint64_t version = state.NextVersion();
      ASSERT_GT(version, last);
      last = version;
    }
  }
}

TEST(FeedState, WhereNothingCanBeWrittenEachLifeIsAnEpoch) {
  FeedState first("/proc/nonexistent");
  FeedState second("/proc/nonexistent");
  EXPECT_THAT(first.problem(), HasSubstr("/proc/nonexistent/feed_state.json"));
  EXPECT_NE(first.epoch(), second.epoch());
  EXPECT_EQ(first.NextVersion(), 1u);
  EXPECT_EQ(first.NextVersion(), 2u);
}

TEST(FeedState, ADamagedFileBeginsANewEpoch) {
  const TempDir dir;
  const std::string before = FeedState(dir.path()).epoch();
  std::filesystem::resize_file(dir.path() + "/feed_state.json", 10);
  FeedState state(dir.path());
  EXPECT_NE(state.epoch(), before);
  EXPECT_EQ(state.NextVersion(), 1u);
}

TEST(LastKnown, IsReadBackAndDamageIsNoError) {
  const TempDir dir;
  boost::asio::io_context io;
  api::Snapshot snapshot;
  snapshot.services.emplace_back().name = "web";
  snapshot.services[0].endpoints.push_back({.id = "n/a", .generation = 4, .address = "10.0.0.1", .port = 80, .reason = ""});
  const auto current = [&]() -> const api::Snapshot& { return snapshot; };
  EXPECT_TRUE(LastKnown(io, dir.path(), current).Read().empty()) << "the first start";
  {
    LastKnown known(io, dir.path(), current);
    known.Changed();
  }
  EXPECT_EQ(LastKnown(io, dir.path(), current).Read(), snapshot.services);
  std::filesystem::resize_file(dir.path() + "/last_known.json", 10);
  EXPECT_TRUE(LastKnown(io, dir.path(), current).Read().empty());
}

TEST(LastKnown, AFailedWriteIsTriedAgainThoughNothingChanges) {
  const TempDir dir;
  const std::string data_dir = dir.path() + "/later";
  boost::asio::io_context io;
  api::Snapshot snapshot;
  snapshot.services.emplace_back().name = "web";
  const auto current = [&]() -> const api::Snapshot& { return snapshot; };
  {
    LastKnown known(io, data_dir, current);
    known.Changed();
    io.run_one();
    EXPECT_FALSE(std::filesystem::exists(data_dir + "/last_known.json"));
    io.poll();
    EXPECT_FALSE(io.stopped()) << "nothing is planned any more";
    std::filesystem::create_directory(data_dir);
  }
  EXPECT_EQ(LastKnown(io, data_dir, current).Read(), snapshot.services);
}

}  // namespace
}  // namespace ringway::cp
