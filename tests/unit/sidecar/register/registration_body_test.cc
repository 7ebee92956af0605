// The registration as Consul's agent API wants it.
#include "sidecar/register/registration_body.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace ringway::sidecar {
namespace {

boost::json::object Build(const ServiceDefinition& service, CheckStatus status) {
  const std::string id = UniqueServiceId(service, "host1");
  return boost::json::parse(BuildRegistration(service, id, "172.18.0.3", TtlCheck{}, status)).as_object();
}

TEST(Registration, IdIsUniquePerContainerAndTheLeaseCarriesTheStatus) {
  ServiceDefinition service;
  service.name = "web";
  service.port = 80;
  service.tags = {"a", "b"};
  const boost::json::object body = Build(service, CheckStatus::kPassing);
  EXPECT_EQ(body.at("ID").as_string(), "web-host1");
  EXPECT_EQ(body.at("Address").as_string(), "172.18.0.3");
  EXPECT_EQ(body.at("Port").as_int64(), 80);
  EXPECT_EQ(body.at("Tags").as_array().size(), 2u);
  EXPECT_FALSE(body.contains("Weights"));
  const boost::json::object& lease = body.at("Checks").as_array().at(0).as_object();
  EXPECT_EQ(lease.at("CheckID").as_string(), "sidecar:web-host1");
  EXPECT_EQ(lease.at("TTL").as_string(), "3s");
  EXPECT_EQ(lease.at("Status").as_string(), "passing");
  EXPECT_EQ(lease.at("DeregisterCriticalServiceAfter").as_string(), "30s");
}

TEST(Registration, TheDefinitionsAddressAndLongerRemovalWin) {
  ServiceDefinition service;
  service.name = "web";
  service.id = "w";
  service.address = "10.0.0.9";
  service.checks.resize(1);
  service.checks[0].deregister_after = std::chrono::minutes(2);
  const boost::json::object body = Build(service, CheckStatus::kCritical);
  EXPECT_EQ(body.at("ID").as_string(), "w-host1");
  EXPECT_EQ(body.at("Address").as_string(), "10.0.0.9");
  EXPECT_EQ(body.at("Checks").as_array().at(0).at("DeregisterCriticalServiceAfter").as_string(), "120s");
}

TEST(Registration, TheApplicationsTtlCheckIsPassedThroughUnderConsulsName) {
  ServiceDefinition service;
  service.name = "web";
  service.checks.resize(2);
  service.checks[1].kind = CheckDefinition::Kind::kTtl;
  service.checks[1].ttl = std::chrono::seconds(15);
  const boost::json::object body = Build(service, CheckStatus::kCritical);
  ASSERT_EQ(body.at("Checks").as_array().size(), 2u);
  EXPECT_EQ(body.at("Checks").as_array().at(1).at("CheckID").as_string(), "service:web-host1:2");
  EXPECT_EQ(body.at("Checks").as_array().at(1).at("TTL").as_string(), "15s");
}

}  // namespace
}  // namespace ringway::sidecar
