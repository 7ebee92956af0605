// The embedded catalog as the resolver sees it: instances, generations, health, draining and calls
// on change.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "controlplane/catalog/embedded_catalog.h"

namespace ringway::cp {
namespace {

class CatalogSource : public testing::Test {
 protected:
  CatalogSource() {
    std::string name = testing::TempDir() + "catalog-source-XXXXXX";
    options_.data_dir = mkdtemp(name.data());
    options_.node_name = "host";
    options_.node_address = "10.0.0.1";
    Open();
  }
  ~CatalogSource() override {
    catalog_.reset();
    std::filesystem::remove_all(options_.data_dir);
  }
  void Open() {
    catalog_.reset();
    auto opened = EmbeddedCatalog::Open(io_, options_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    catalog_ = *std::move(opened);
    catalog_->OnChange([this](const std::string& service) { changed_.push_back(service); });
    Turn();
  }
  void Turn() {
    io_.restart();
    while (io_.poll() > 0) {
    }
  }
  void Register(const std::string& body) {
    const auto definition = ParseServiceDefinition(body);
    ASSERT_TRUE(definition.ok()) << definition.status();
    catalog_->Change([&](Agent& agent, Catalog&) {
      EXPECT_TRUE(agent.RegisterService(*definition, false, Agent::Clock::now()).ok());
    });
    Turn();
  }
  void Pass(const std::string& check, const char* status, const std::string& output) {
    catalog_->Change([&](Agent& agent, Catalog&) {
      EXPECT_TRUE(agent.UpdateTtl(check, status, output, Agent::Clock::now()).ok());
    });
    Turn();
  }
  boost::asio::io_context io_;
  EmbeddedCatalogOptions options_;
  std::unique_ptr<EmbeddedCatalog> catalog_;
  std::vector<std::string> changed_;
};

TEST_F(CatalogSource, TellsInstancesWithTheWorstOfTheirChecks) {
  Register(
      R"({"ID":"w1","Name":"web","Address":"10.1.1.1","Port":80,"Tags":["a"],"Weights":{"Passing":7,"Warning":3},"Check":{"TTL":"1h"}})");
  Register(R"({"ID":"w2","Name":"web","Port":81})");
  std::vector<Instance> instances = catalog_->Instances("Web");
  ASSERT_EQ(instances.size(), 2u);
  EXPECT_EQ(instances[0].id, "host/w1");
  EXPECT_EQ(instances[0].address, "10.1.1.1");
  EXPECT_EQ(instances[0].weight, 7u);
  EXPECT_EQ(instances[0].health, InstanceHealth::kCritical);
  EXPECT_EQ(instances[1].address, "10.0.0.1");
  EXPECT_EQ(instances[1].health, InstanceHealth::kPassing);
  changed_.clear();
  Pass("service:w1", kStatusWarning, "slow\nvery");
  EXPECT_EQ(changed_, std::vector<std::string>{"Web"});  // in the spelling that was asked for
  instances = catalog_->Instances("web");
  EXPECT_EQ(instances[0].health, InstanceHealth::kWarning);
  EXPECT_EQ(instances[0].reason, "slow");
  EXPECT_EQ(instances[0].weight, 3u);
}

TEST_F(CatalogSource, IdenticalRegistrationIsSilent) {
  Register(R"({"Name":"web","Port":80})");
  changed_.clear();
  Register(R"({"Name":"web","Port":80})");
  EXPECT_TRUE(changed_.empty());
}

TEST_F(CatalogSource, DrainingEndsWithTheGeneration) {
  Register(R"({"Name":"web","Port":80})");
  changed_.clear();
  EXPECT_FALSE(catalog_->SetDraining("web", "host/none", true));
  EXPECT_TRUE(catalog_->SetDraining("web", "host/web", true));
  EXPECT_TRUE(changed_.empty());  // posted, never from within the call
  Turn();
  EXPECT_EQ(changed_.size(), 1u);
  Register(R"({"Name":"web","Port":80})");
  EXPECT_TRUE(catalog_->Instances("web")[0].draining);
  Register(R"({"Name":"web","Port":81})");
  EXPECT_FALSE(catalog_->Instances("web")[0].draining);
}

TEST_F(CatalogSource, AnAddressThatIsNoneIsCriticalAndSaysWhy) {
  Register(R"({"Name":"web","Address":"host.example","Port":80})");
  const std::vector<Instance> instances = catalog_->Instances("web");
  EXPECT_EQ(instances[0].health, InstanceHealth::kCritical);
  EXPECT_NE(instances[0].reason.find("host.example"), std::string::npos);
}

TEST_F(CatalogSource, AnotherNameOfTheHostTakesTheServicesAlong) {
  Register(R"({"Name":"web","Port":80,"Check":{"TTL":"1h","Status":"passing"}})");
  options_.node_name = "renamed";
  Open();
  const std::vector<Instance> instances = catalog_->Instances("web");
  ASSERT_EQ(instances.size(), 1u);
  EXPECT_EQ(instances[0].id, "renamed/web");
  EXPECT_EQ(instances[0].health, InstanceHealth::kPassing);
  EXPECT_EQ(catalog_->catalog().nodes().size(), 1u);
}

// What somebody keeps who only asks for changes must equal what he would be told anew.
TEST_F(CatalogSource, ChangesAddUpToTheInstances) {
  const auto body = [](int i, const char* name) {
    return R"({"ID":"w)" + std::to_string(i) + R"(","Name":")" + name + R"(","Port":)" + std::to_string(80 + i) + R"(,"Check":{"TTL":"1h"}})";
  };
  for (int i = 0; i < 5; ++i) Register(body(i, "web"));
  EXPECT_FALSE(catalog_->TakeChanges("web", [](const std::string&, const Instance*) {})) << "never asked for";
  std::map<std::string, Instance> kept;
  for (const Instance& one : catalog_->Instances("web")) kept[one.id] = one;
  const auto expect_same = [&](const char* after, int told_max) {
    int told = 0;
    EXPECT_TRUE(catalog_->TakeChanges("web", [&](const std::string& id, const Instance* now) {
      ++told;
      if (now == nullptr) {
        kept.erase(id);
      } else {
        kept[id] = *now;
      }
    })) << after;
    EXPECT_LE(told, told_max) << after;
    std::vector<Instance> all;
    for (const auto& [id, one] : kept) all.push_back(one);
    EXPECT_EQ(all, catalog_->Instances("web")) << after;
  };
  expect_same("nothing", 0);
  Pass("service:w1", kStatusPassing, "");
  expect_same("a check turns", 1);
  Register(body(7, "web"));
  expect_same("one comes", 1);
  Register(body(2, "other"));
  expect_same("one is of another service now", 1);
  EXPECT_TRUE(catalog_->SetDraining("web", "host/w3", true));
  expect_same("one drains, before the turn is over", 1);
  Turn();
  catalog_->Change([](Agent& agent, Catalog&) { agent.DeregisterService("w4"); });
  Turn();
  expect_same("one goes", 2);
  catalog_->Change([](Agent& agent, Catalog&) { agent.SetNodeMaintenance(true, "disk"); });
  Turn();
  expect_same("the node is in maintenance", 6);
  EXPECT_EQ(kept.begin()->second.health, InstanceHealth::kMaintenance);
  catalog_->Change([&](Agent& agent, Catalog&) {
    for (int i = 0; i < 1500; ++i) EXPECT_TRUE(agent.RegisterService(*ParseServiceDefinition(body(100 + i, "else")), false, Agent::Clock::now()).ok());
  });
  Turn();
  EXPECT_FALSE(catalog_->TakeChanges("web", [](const std::string&, const Instance*) {})) << "too much has happened";
}

}  // namespace
}  // namespace ringway::cp
