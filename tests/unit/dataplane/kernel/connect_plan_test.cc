// What the connect delivery is to lead, and whom.
#include "dataplane/kernel/connect_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "dataplane/feed/address.h"
#include "dataplane/kernel/own_addresses.h"

namespace ringway::dp {
namespace {

api::Snapshot Leading(const std::string& bind, const std::vector<std::string>& endpoints) {
  api::Snapshot snapshot;
  api::Listener listener;
  listener.name = "db";
  listener.bind = bind;
  listener.protocol = api::Protocol::kTcp;
  listener.delivery = api::Delivery::kConnect;
  listener.routes.push_back({});
  listener.routes[0].service = "db";
  snapshot.listeners.push_back(listener);
  api::Service service;
  service.name = "db";
  for (const std::string& address : endpoints) {
    api::Endpoint endpoint;
    endpoint.id = address;
    endpoint.address = address;
    endpoint.port = 5432;
    service.endpoints.push_back(endpoint);
  }
  snapshot.services.push_back(service);
  return snapshot;
}

bool Has(const std::vector<IpAddress>& addresses, const std::string& bind) {
  return std::find(addresses.begin(), addresses.end(), *ParseBind(bind)) != addresses.end();
}

TEST(ConnectPlan, AnAddressLeadsToReadyEndpoints) {
  api::Snapshot snapshot = Leading("10.0.0.5:5432", {"10.0.0.6", "10.0.0.7"});
  snapshot.services[0].endpoints[1].state = api::EndpointState::kDraining;
  const ConnectPlan plan = PlanConnect(snapshot);
  ASSERT_EQ(plan.services.size(), 1u);
  EXPECT_TRUE(Has(plan.services[0].addresses, "10.0.0.5:5432"));
  ASSERT_EQ(plan.services[0].ready.size(), 1u);
  EXPECT_EQ(plan.services[0].resting.size(), 1u);
  EXPECT_TRUE(plan.own_endpoint.empty());
}

// Else its health check would be led to another, and tell of that one.
TEST(ConnectPlan, AnEndpointsOwnAddressLeadsNowhereElse) {
  const std::vector<IpAddress> own = OwnAddresses(false, 5432);
  ASSERT_TRUE(Has(own, "127.0.0.1:5432"));
  api::Snapshot snapshot = Leading("0.0.0.0:5432", {"127.0.0.1", "10.0.0.7"});
  snapshot.services[0].endpoints[0].state = api::EndpointState::kDown;
  const ConnectPlan plan = PlanConnect(snapshot);
  EXPECT_FALSE(Has(plan.services[0].addresses, "127.0.0.1:5432"));
  EXPECT_EQ(plan.services[0].addresses.size(), own.size() - 1);
  EXPECT_EQ(plan.services[0].ready.size(), 1u);
}

TEST(ConnectPlan, AListenerAtItsOnlyEndpointIsSaid) {
  const ConnectPlan plan = PlanConnect(Leading("10.0.0.6:5432", {"10.0.0.6"}));
  EXPECT_TRUE(plan.services[0].addresses.empty());
  EXPECT_EQ(plan.own_endpoint, std::vector<std::string>{"db"});
}

TEST(ConnectPlan, EndpointsOfTheOtherFamilyAreNamed) {
  const ConnectPlan plan = PlanConnect(Leading("[fd00::5]:5432", {"10.0.0.6"}));
  EXPECT_TRUE(plan.services[0].ready.empty());
  EXPECT_EQ(plan.other_family, std::vector<std::string>{"db/10.0.0.6"});
}

}  // namespace
}  // namespace ringway::dp
