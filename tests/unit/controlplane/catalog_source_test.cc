// The embedded catalog as the resolver sees it: instances, generations, health, draining and calls
// on change.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <filesystem>

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

}  // namespace
}  // namespace ringway::cp
