// The agent's rules with a clock of our own: TTLs, thresholds, held outputs, maintenance, reaping
// (consul.md sections 5 and 6).
#include <gtest/gtest.h>

#include "controlplane/catalog/agent.h"

namespace ringway::cp {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class CatalogAgent : public testing::Test {
 protected:
  CatalogAgent() {
    Registration self;
    self.node.name = "host";
    self.node.address = "10.0.0.1";
    std::string error;
    model_.Register(std::move(self), &error);
    agent_.emplace(model_, "host", now_);
  }
  void Register(const std::string& body, bool replace = false) {
    const auto definition = ParseServiceDefinition(body);
    ASSERT_TRUE(definition.ok()) << definition.status();
    const absl::Status status = agent_->RegisterService(*definition, replace, now_);
    ASSERT_TRUE(status.ok()) << status;
  }
  const CheckRecord& Check(const std::string& id) { return *agent_->FindCheck(id); }
  Catalog model_;
  Agent::Time now_{std::chrono::hours(1)};
  std::optional<Agent> agent_;
};

TEST_F(CatalogAgent, DerivesIdsAndNames) {
  Register(R"({"Name":"web","Check":{"TTL":"1s"}})");
  EXPECT_EQ(Check("service:web").name, "Service 'web' check");
  Register(R"({"Name":"two","Checks":[{"TTL":"1s"},{"TTL":"1s","CheckID":"own"},{"TTL":"1s"}]})");
  EXPECT_NE(agent_->FindCheck("service:two:1"), nullptr);
  EXPECT_NE(agent_->FindCheck("own"), nullptr);
  EXPECT_NE(agent_->FindCheck("service:two:3"), nullptr);
}

TEST_F(CatalogAgent, TtlExpiresOnceWithConsulsWords) {
  Register(R"({"Name":"web","Check":{"TTL":"10s"}})");
  ASSERT_TRUE(agent_->UpdateTtl("service:web", kStatusPassing, "fine", now_).ok());
  EXPECT_EQ(agent_->NextTick(), now_ + seconds(10));
  agent_->Tick(now_ + milliseconds(9999));
  EXPECT_EQ(Check("service:web").status, kStatusPassing);
  agent_->Tick(now_ + seconds(10));
  EXPECT_EQ(Check("service:web").status, kStatusCritical);
  EXPECT_EQ(Check("service:web").output, "TTL expired (last output before timeout follows): fine");
  const uint64_t index = model_.index();
  agent_->Tick(now_ + seconds(60));
  EXPECT_EQ(model_.index(), index);
}

TEST_F(CatalogAgent, ReRegistrationKeepsStatusAndUnnamedChecksUnlessReplaced) {
  Register(R"({"Name":"web","Checks":[{"CheckID":"a","TTL":"10s"},{"CheckID":"b","TTL":"10s"}]})");
  ASSERT_TRUE(agent_->UpdateTtl("a", kStatusPassing, "", now_).ok());
  Register(R"({"Name":"web","Check":{"CheckID":"a","TTL":"10s","Status":"critical"}})");
  EXPECT_EQ(Check("a").status, kStatusPassing);
  EXPECT_NE(agent_->FindCheck("b"), nullptr);
  Register(R"({"Name":"web","Check":{"CheckID":"a","TTL":"10s"}})", true);
  EXPECT_EQ(agent_->FindCheck("b"), nullptr);
}

TEST_F(CatalogAgent, OutputAloneIsHeldBackFiveMinutes) {
  Register(R"({"Name":"web","Check":{"TTL":"1h"}})");
  ASSERT_TRUE(agent_->UpdateTtl("service:web", kStatusPassing, "one", now_).ok());
  const uint64_t index = model_.index();
  ASSERT_TRUE(agent_->UpdateTtl("service:web", kStatusPassing, "two", now_).ok());
  EXPECT_EQ(model_.index(), index);
  EXPECT_EQ(Check("service:web").output, "one");
  EXPECT_EQ(Check("service:web").fresh_output, "two");
  agent_->Tick(now_ + minutes(5));
  EXPECT_EQ(Check("service:web").output, "two");
  EXPECT_GT(model_.index(), index);
}

TEST_F(CatalogAgent, FirstResultCountsAtOnceThenThresholds) {
  Register(
      R"({"Name":"web","Check":{"CheckID":"c","TCP":"127.0.0.1:1","Interval":"1s","SuccessBeforePassing":3,"FailuresBeforeCritical":2}})");
  const auto probe = [&](const char* status) {
    agent_->OnProbed("c", status, "", now_);
    return Check("c").status;
  };
  EXPECT_EQ(probe(kStatusPassing), kStatusPassing);
  EXPECT_EQ(probe(kStatusCritical), kStatusPassing);
  EXPECT_EQ(probe(kStatusCritical), kStatusCritical);
  EXPECT_EQ(probe(kStatusPassing), kStatusCritical);
  EXPECT_EQ(probe(kStatusPassing), kStatusCritical);
  EXPECT_EQ(probe(kStatusPassing), kStatusPassing);
}

TEST_F(CatalogAgent, RemovesWhatStaysCritical) {
  Register(
      R"({"Name":"web","Check":{"TTL":"2s","Status":"passing","DeregisterCriticalServiceAfter":"5s"}})");
  EXPECT_TRUE(agent_->Tick(now_ + seconds(2)).empty());
  EXPECT_TRUE(agent_->Tick(now_ + milliseconds(6999)).empty());
  const std::vector<Agent::Removed> removed = agent_->Tick(now_ + seconds(7));
  ASSERT_EQ(removed.size(), 1u);
  EXPECT_EQ(removed[0].service_id, "web");
  EXPECT_EQ(removed[0].check_id, "service:web");
  EXPECT_TRUE(agent_->node().services.empty());
  EXPECT_EQ(agent_->NextTick(), Agent::Time::max());
}

TEST_F(CatalogAgent, ARecoveryStartsTheReapersClockAnew) {
  Register(R"({"Name":"web","Check":{"TTL":"1h","DeregisterCriticalServiceAfter":"5s"}})");
  ASSERT_TRUE(agent_->UpdateTtl("service:web", kStatusPassing, "", now_ + seconds(4)).ok());
  EXPECT_TRUE(agent_->Tick(now_ + seconds(30)).empty());
  ASSERT_TRUE(agent_->UpdateTtl("service:web", kStatusCritical, "", now_ + seconds(40)).ok());
  EXPECT_TRUE(agent_->Tick(now_ + seconds(44)).empty());
  EXPECT_EQ(agent_->Tick(now_ + seconds(45)).size(), 1u);
}

TEST_F(CatalogAgent, MaintenanceKeepsItsFirstReason) {
  Register(R"({"Name":"web"})");
  ASSERT_TRUE(agent_->SetServiceMaintenance("web", true, "one").ok());
  ASSERT_TRUE(agent_->SetServiceMaintenance("web", true, "two").ok());
  EXPECT_EQ(Check("_service_maintenance:web").notes, "one");
  ASSERT_TRUE(agent_->SetServiceMaintenance("web", false, "").ok());
  EXPECT_EQ(agent_->FindCheck("_service_maintenance:web"), nullptr);
  EXPECT_TRUE(absl::IsNotFound(agent_->SetServiceMaintenance("none", true, "")));
}

TEST_F(CatalogAgent, ARestartGivesTtlChecksAWholeTtl) {
  Register(R"({"Name":"web","Check":{"TTL":"10s","Status":"passing"}})");
  Agent again(model_, "host", now_ + seconds(500));
  again.Tick(now_ + seconds(509));
  EXPECT_EQ(Check("service:web").status, kStatusPassing);
  again.Tick(now_ + seconds(510));
  EXPECT_EQ(Check("service:web").status, kStatusCritical);
}

TEST_F(CatalogAgent, RefusesWhatItDoesNotRunInsteadOfIgnoringIt) {
  EXPECT_EQ(ParseServiceDefinition(R"({"Name":"x","Check":{"Args":["a"],"Interval":"1s"}})")
                .status()
                .code(),
            absl::StatusCode::kInternal);
  for (const char* body : {R"({"Name":"x","Check":{"GRPC":"a:1","Interval":"1s"}})",
                           R"({"Name":"x","Check":{"AliasService":"y"}})",
                           R"({"Name":"x","Check":{"HTTP":"https://a","Interval":"1s"}})",
                           R"({"Name":"x","Connect":{"Native":true}})"}) {
    const absl::Status status = ParseServiceDefinition(body).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << body;
    EXPECT_NE(status.message().find("not supported by Ringway"), absl::string_view::npos) << status;
  }
}

}  // namespace
}  // namespace ringway::cp
