// Leases with a clock of our own: taken, ended, replaced, awaited after a restart, forgiven after a stop; and what they mean
// to the resolver.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <filesystem>

#include "controlplane/catalog/embedded_catalog.h"

namespace ringway::cp {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class CatalogLease : public testing::Test {
 protected:
  CatalogLease() {
    Registration self;
    self.node.name = "host";
    self.node.address = "10.0.0.1";
    std::string error;
    model_.Register(std::move(self), &error);
    Restart();
    Register("web");
  }
  void Restart() { agent_.emplace(model_, "host", now_, LeaseTimes{seconds(3), seconds(10)}); }
  // As a sidecar does: with the TTL check that is its fallback.
  void Register(const std::string& id) {
    const auto definition = ParseServiceDefinition(
        R"({"ID":")" + id + R"(","Name":"web","Port":80,"Check":{"CheckID":"sidecar:)" + id +
        R"(","TTL":"30s","Status":"passing","DeregisterCriticalServiceAfter":"60s"}})");
    ASSERT_TRUE(definition.ok()) << definition.status();
    ASSERT_TRUE(agent_->RegisterService(*definition, true, now_).ok());
  }
  uint64_t Take(const std::string& id = "web") {
    const auto number = agent_->TakeLease(id, "10.0.0.7");
    EXPECT_TRUE(number.ok()) << number.status();
    return number.ok() ? *number : 0;
  }
  const CheckRecord& Lease(const std::string& id = "web") { return *agent_->FindCheck("lease:" + id); }
  Catalog model_;
  Agent::Time now_{std::chrono::hours(1)};
  std::optional<Agent> agent_;
};

TEST_F(CatalogLease, IsACheckThatPassesWhileHeld) {
  EXPECT_EQ(agent_->FindCheck("lease:web"), nullptr);
  const uint64_t number = Take();
  EXPECT_TRUE(agent_->HoldsLease("web", number));
  EXPECT_EQ(Lease().status, kStatusPassing);
  EXPECT_EQ(Lease().output, "held by 10.0.0.7");
  EXPECT_EQ(Lease().service_name, "web");
  Register("web");  // replace-existing-checks: the lease is no check of the definition
  EXPECT_TRUE(agent_->HoldsLease("web", number));
  EXPECT_TRUE(absl::IsNotFound(agent_->TakeLease("none", "x").status()));
}

TEST_F(CatalogLease, ItsEndIsCriticalAtOnceAndARemovalLater) {
  const uint64_t number = Take();
  EXPECT_TRUE(agent_->EndLease("web", number, "why", now_));
  EXPECT_EQ(Lease().status, kStatusCritical);
  EXPECT_EQ(Lease().output, "why");
  EXPECT_FALSE(agent_->EndLease("web", number, "again", now_));
  EXPECT_EQ(agent_->NextTick(), now_ + seconds(10));
  EXPECT_TRUE(agent_->Tick(now_ + milliseconds(9999)).empty());
  const std::vector<Agent::Removed> removed = agent_->Tick(now_ + seconds(10));
  ASSERT_EQ(removed.size(), 1u);  // long before its TTL
  EXPECT_EQ(removed[0].check_id, "lease:web");
  EXPECT_TRUE(agent_->node().services.empty());
  EXPECT_EQ(agent_->FindCheck("sidecar:web"), nullptr);
}

TEST_F(CatalogLease, TheNewestWinsAndTheOldOnesEndMeansNothing) {
  const uint64_t old = Take();
  const uint64_t index = model_.index();
  const uint64_t newest = Take();
  EXPECT_EQ(model_.index(), index);  // the same holder: nothing to tell anybody
  EXPECT_FALSE(agent_->HoldsLease("web", old));
  EXPECT_FALSE(agent_->EndLease("web", old, "why", now_));
  EXPECT_EQ(Lease().status, kStatusPassing);
  EXPECT_TRUE(agent_->EndLease("web", newest, "why", now_));
}

TEST_F(CatalogLease, TakenAgainItPassesAndNothingIsRemoved) {
  agent_->EndLease("web", Take(), "why", now_);
  Take();
  EXPECT_EQ(Lease().status, kStatusPassing);
  EXPECT_TRUE(agent_->Tick(now_ + seconds(20)).empty());
}

TEST_F(CatalogLease, DeregistrationEndsItQuietly) {
  const uint64_t number = Take();
  agent_->DeregisterService("web");
  EXPECT_FALSE(agent_->HoldsLease("web", number));
  EXPECT_FALSE(agent_->EndLease("web", number, "why", now_));
  Register("web");  // the same id again: the old connection has no part in it
  EXPECT_FALSE(agent_->EndLease("web", number, "why", now_));
  EXPECT_EQ(agent_->FindCheck("lease:web"), nullptr);
}

TEST_F(CatalogLease, AfterARestartItIsAwaitedAndNobodyNotices) {
  Take();
  const uint64_t index = model_.index();
  now_ += seconds(100);
  Restart();
  EXPECT_EQ(Lease().status, kStatusPassing);
  Take();
  EXPECT_TRUE(agent_->Tick(now_ + seconds(20)).empty());
  EXPECT_EQ(Lease().status, kStatusPassing);
  EXPECT_EQ(model_.index(), index);
}

TEST_F(CatalogLease, AfterARestartAGhostIsCriticalWhenTheGraceIsOver) {
  Take();
  Register("ghost");
  agent_->EndLease("ghost", Take("ghost"), "dead before", now_);
  Restart();
  EXPECT_EQ(Lease("ghost").status, kStatusCritical);  // and does not come back by the restart
  agent_->Tick(now_ + milliseconds(2999));
  EXPECT_EQ(Lease().status, kStatusPassing);
  agent_->Tick(now_ + seconds(3));
  EXPECT_EQ(Lease().status, kStatusCritical);
  EXPECT_EQ(Lease().output, "lease ended: the sidecar has not come back since the control plane was away");
  EXPECT_EQ(agent_->Tick(now_ + seconds(10)).size(), 1u);  // the ghost
  EXPECT_EQ(agent_->Tick(now_ + seconds(13)).size(), 1u);
}

TEST_F(CatalogLease, AStopOfTheCatalogItselfCostsNobodyHisTime) {
  Register("alone");  // no lease, TTL 30 s
  Register("late");
  agent_->EndLease("late", Take("late"), "why", now_);
  Take();
  Restart();
  const Agent::Time stopped_at = now_ + seconds(2);
  now_ = stopped_at + seconds(100);
  agent_->Forgive(now_ - stopped_at, now_);
  EXPECT_TRUE(agent_->Tick(now_ + milliseconds(2999)).empty());
  EXPECT_EQ(Lease().status, kStatusPassing);
  EXPECT_EQ(agent_->FindCheck("sidecar:alone")->status, kStatusPassing);
  EXPECT_EQ(agent_->Tick(now_ + seconds(8)).size(), 1u);  // 2 of its 10 s had passed
}

TEST_F(CatalogLease, AnEndThatAStopOfTheCatalogMayHaveCausedIsWaitedOut) {
  const uint64_t index = model_.index();
  agent_->AwaitLease("web", Take(), now_);
  EXPECT_EQ(agent_->NextTick(), now_ + seconds(3));
  Take();
  agent_->Tick(now_ + seconds(5));
  EXPECT_EQ(Lease().status, kStatusPassing);
  EXPECT_EQ(model_.index(), index + 1);  // the check's first appearance
  agent_->AwaitLease("web", Take(), now_);
  agent_->Tick(now_ + seconds(3));
  EXPECT_EQ(Lease().status, kStatusCritical);
}

TEST_F(CatalogLease, NoClientCanPassIt) {
  const uint64_t number = Take();
  EXPECT_FALSE(agent_->UpdateTtl("lease:web", kStatusPassing, "", now_).ok());
  agent_->EndLease("web", number, "why", now_);
  EXPECT_FALSE(agent_->UpdateTtl("lease:web", kStatusPassing, "", now_).ok());
  EXPECT_EQ(Lease().status, kStatusCritical);
}

class CatalogLeavers : public testing::Test {
 protected:
  CatalogLeavers() {
    std::string name = testing::TempDir() + "catalog-leavers-XXXXXX";
    options_.data_dir = mkdtemp(name.data());
    options_.node_name = "Host";
    options_.node_address = "10.0.0.1";
    options_.lease = {seconds(3), milliseconds(1)};
    Open();
  }
  ~CatalogLeavers() override {
    catalog_.reset();
    std::filesystem::remove_all(options_.data_dir);
  }
  void Open() {
    catalog_.reset();
    auto opened = EmbeddedCatalog::Open(io_, options_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    catalog_ = *std::move(opened);
    Turn();
  }
  void Turn() {
    io_.restart();
    while (io_.poll() > 0) {
    }
  }
  void Register(const std::string& id, int port = 80) {
    const auto definition =
        ParseServiceDefinition(R"({"ID":")" + id + R"(","Name":"web","Port":)" + std::to_string(port) + "}");
    catalog_->Change([&](Agent& agent, Catalog&) {
      EXPECT_TRUE(agent.RegisterService(*definition, false, Agent::Clock::now()).ok());
    });
    Turn();
  }
  void EndLease(const std::string& id) {
    catalog_->Change([&](Agent& agent, Catalog&) {
      agent.EndLease(id, *agent.TakeLease(id, "x"), "why", Agent::Clock::now());
    });
    while (catalog_->agent().node().services.contains(id)) io_.restart(), io_.run_one_for(seconds(20));
    Turn();
  }
  boost::asio::io_context io_;
  EmbeddedCatalogOptions options_;
  std::unique_ptr<EmbeddedCatalog> catalog_;
};

TEST_F(CatalogLeavers, WhoDeregistersLeavesAndWhoseLeaseEndsVanishes) {
  Register("left");
  Register("vanished");
  Register("drained");
  EXPECT_TRUE(catalog_->SetDraining("web", "Host/drained", true));
  catalog_->Change([](Agent& agent, Catalog&) { agent.DeregisterService("left"); });
  EndLease("vanished");
  EndLease("drained");
  EXPECT_TRUE(catalog_->LeftByItself("web", "Host/left"));
  EXPECT_TRUE(catalog_->LeftByItself("web", "Host/drained"));
  EXPECT_FALSE(catalog_->LeftByItself("web", "Host/vanished"));
  EXPECT_FALSE(catalog_->LeftByItself("web", "Host/never-there"));
  Register("left");
  EndLease("left");  // the last time counts
  EXPECT_FALSE(catalog_->LeftByItself("web", "Host/left"));
}

TEST_F(CatalogLeavers, AnotherServicesNameIsALeavingToo) {
  Register("w");
  const auto definition = ParseServiceDefinition(R"({"ID":"w","Name":"api","Port":80})");
  catalog_->Change([&](Agent& agent, Catalog&) {
    EXPECT_TRUE(agent.RegisterService(*definition, false, Agent::Clock::now()).ok());
  });
  Turn();
  EXPECT_TRUE(catalog_->LeftByItself("web", "Host/w"));
}

TEST_F(CatalogLeavers, ADrainSurvivesARestartAndEndsWithTheRegistration) {
  Register("w");
  EXPECT_TRUE(catalog_->SetDraining("web", "Host/w", true));
  Turn();
  Open();
  EXPECT_TRUE(catalog_->Instances("web")[0].draining);
  Register("w", 81);
  EXPECT_FALSE(catalog_->Instances("web")[0].draining);
}

TEST_F(CatalogLeavers, TheNewestClaimOfAnAddressHasTheHighestIndex) {
  Register("old");
  Register("new");
  Register("old");  // a repetition claims nothing
  const std::vector<Instance> instances = catalog_->Instances("web");
  ASSERT_EQ(instances[0].id, "Host/new");
  EXPECT_GT(instances[0].registered_index, instances[1].registered_index);
}

}  // namespace
}  // namespace ringway::cp
