// Snapshot to map: handles stay, what did not change is shared, what cannot be taken changes nothing.
#include "dataplane/feed/map_builder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "dataplane/feed/address.h"
#include "dataplane/feed/listener_sockets.h"
#include "tests/unit/dataplane/feed/feed_test_support.h"

namespace ringway::dp {
namespace {

using ::testing::HasSubstr;

size_t OpenFiles() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

class MapBuilderTest : public ::testing::Test {
 protected:
  MapBuilderTest() {
    for (int i = 0; i < 2; ++i) {
      shared_.push_back(std::make_unique<WorkerShared>());
      workers_.push_back(shared_.back().get());
    }
    builder_ = std::make_unique<MapBuilder>(workers_);
  }
  // The workers close listening sockets; here the test does.
  ~MapBuilderTest() override {
    for (const int fd : sockets_) close(fd);
  }
  absl::StatusOr<std::unique_ptr<const BackendMap>> Build(const api::Snapshot& snapshot) {
    auto map = builder_->Build(std::make_shared<const api::Snapshot>(snapshot));
    if (map.ok()) {
      for (const auto& listener : (*map)->listeners) {
        if (listener != nullptr) sockets_.insert(listener->sockets.begin(), listener->sockets.end());
      }
    }
    return map;
  }
  const ServiceEntry& Service(const BackendMap& map, const std::string& name) {
    return *map.services[builder_->directory().services.at(name)];
  }

  std::vector<std::unique_ptr<WorkerShared>> shared_;
  std::vector<WorkerShared*> workers_;
  std::unique_ptr<MapBuilder> builder_;
  std::set<int> sockets_;
};

TEST_F(MapBuilderTest, ReadyEndpointsAndRoutesArrive) {
  api::Snapshot snapshot = WebSnapshot();
  snapshot.services[1].endpoints[0].state = api::EndpointState::kDraining;
  snapshot.services[1].endpoints[1].weight = 5;
  snapshot.services[1].upstreams_idle_max = 32;
  snapshot.listeners[0].routes = {{"", "", "mysql"}, {"", "/a", "web"}, {"B.org", "", "web"}, {"b.org", "/x", "mysql"}};
  const auto map = Build(snapshot);
  ASSERT_TRUE(map.ok()) << map.status();
  const ServiceEntry& web = Service(**map, "web");
  ASSERT_EQ(web.ready.size(), 1u);
  EXPECT_EQ(SpellAddress(web.ready[0].address), "127.0.0.1:8002");
  EXPECT_EQ(web.upstreams_idle_max, 16u) << "half of 32 for each of two workers";
  const ListenerEntry& front = *(*map)->listeners[0];
  ASSERT_EQ(front.routes.size(), 4u);
  EXPECT_EQ(front.routes[0].path, "/x");
  EXPECT_EQ(front.routes[1].host, "b.org");
  EXPECT_EQ(front.routes[2].path, "/a");
  EXPECT_EQ(front.routes[3].service, builder_->directory().services.at("mysql"));
  ASSERT_EQ(front.sockets.size(), 2u);
  EXPECT_NE(front.address.port, 0);
  EXPECT_EQ(LocalAddress(front.sockets[0]), LocalAddress(front.sockets[1]));
  EXPECT_NE(fcntl(front.sockets[0], F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(MapBuilderTest, EachWorkerGetsItsShareRoundedDownAndAtLeastOne) {
  api::Snapshot snapshot = WebSnapshot();
  api::Service& web = snapshot.services[1];
  web.retry_budget = {15, 7};
  web.passive_health = {4, 6, 1000, 500};
  web.slow_start_ms = 30000;
  web.endpoint_limit = {5, 101, 2500};
  web.hold = {4000, 1};
  const auto map = Build(snapshot);
  ASSERT_TRUE(map.ok()) << map.status();
  const ServiceEntry& entry = Service(**map, "web");
  EXPECT_EQ(entry.retry_percent, 15u);
  EXPECT_EQ(entry.retry_per_second_min, 3u);
  EXPECT_EQ(entry.failures_max, 4u);
  EXPECT_EQ(entry.responses_5xx_max, 6u);
  EXPECT_EQ(entry.eject_ms, 1000u);
  EXPECT_EQ(entry.eject_max_ms, 1000u) << "never below the first";
  EXPECT_EQ(entry.slow_start_ms, 30000u);
  EXPECT_EQ(entry.in_flight_max, 2u);
  EXPECT_EQ(entry.queue_max, 50u);
  EXPECT_EQ(entry.queue_timeout_ms, 2500u);
  EXPECT_EQ(entry.hold_max, 1u) << "one for each of two workers";
  EXPECT_EQ(entry.hold_timeout_ms, 4000u);
  const ServiceEntry& mysql = Service(**map, "mysql");
  EXPECT_EQ(mysql.in_flight_max, 0u) << "no limit stays none";
  EXPECT_EQ(mysql.hold_timeout_ms, 0u);
  snapshot.services[1].hold.timeout_ms = 5000;
  const auto changed = Build(snapshot);
  EXPECT_EQ(Service(**changed, "web").hold_timeout_ms, 5000u) << "a setting alone is a change";
}

// ready, down, draining, percent -> how many of the ready ones may be ejected.
TEST_F(MapBuilderTest, EjectionsLeaveThePoolWhatTheCapSays) {
  const auto allowed = [&](size_t ready, size_t down, size_t draining, uint32_t percent) {
    api::Snapshot snapshot = WebSnapshot();
    api::Service& web = snapshot.services[1];
    web.ejected_percent_max = percent;
    web.endpoints.clear();
    for (size_t i = 0; i < ready + down + draining; ++i) {
      web.endpoints.push_back(EndpointAt("e" + std::to_string(100 + i), static_cast<uint16_t>(8000 + i)));
      if (i >= ready) web.endpoints.back().state = api::EndpointState::kDown;
      if (i >= ready + down) web.endpoints.back().state = api::EndpointState::kDraining;
    }
    const auto map = Build(snapshot);
    EXPECT_TRUE(map.ok()) << map.status();
    return Service(**map, "web").ejections_max;
  };
  EXPECT_EQ(allowed(1, 0, 0, 50), 0u) << "a pool of one is never emptied";
  EXPECT_EQ(allowed(1, 0, 0, 100), 0u);
  EXPECT_EQ(allowed(2, 0, 0, 50), 1u);
  EXPECT_EQ(allowed(3, 0, 0, 50), 1u);
  EXPECT_EQ(allowed(3, 0, 1, 50), 1u) << "one that drains counts for nothing";
  EXPECT_EQ(allowed(4, 0, 0, 50), 2u);
  EXPECT_EQ(allowed(3, 1, 0, 50), 1u) << "one is down already";
  EXPECT_EQ(allowed(2, 2, 0, 50), 0u);
  EXPECT_EQ(allowed(1, 3, 0, 50), 0u);
  EXPECT_EQ(allowed(4, 0, 0, 100), 3u) << "the last one stays";
  EXPECT_EQ(allowed(4, 0, 0, 0), 0u);
  EXPECT_EQ(allowed(0, 4, 0, 100), 0u);
  EXPECT_EQ(allowed(0, 0, 2, 100), 0u);
}

TEST_F(MapBuilderTest, WhatDidNotChangeIsTheSameObject) {
  api::Snapshot snapshot = WebSnapshot();
  const auto first = Build(snapshot);
  snapshot.version = 2;
  snapshot.services[1].endpoints.push_back(EndpointAt("c", 8003));
  const auto second = Build(snapshot);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(&Service(**first, "mysql"), &Service(**second, "mysql"));
  EXPECT_EQ((*first)->listeners[0], (*second)->listeners[0]);
  const ServiceEntry& before = *(*first)->services[builder_->directory().services.at("web")];
  const ServiceEntry& after = Service(**second, "web");
  EXPECT_NE(&before, &after);
  EXPECT_EQ(before.ready[0].handle, after.ready[0].handle);
  EXPECT_EQ(before.ready[1].handle, after.ready[1].handle);
  EXPECT_GT((*second)->version, (*first)->version);
  // A new reason text is nothing the workers need to see.
  snapshot.services[0].endpoints[0].reason = "fine";
  const auto third = Build(snapshot);
  EXPECT_EQ(&Service(**third, "mysql"), &Service(**second, "mysql"));
}

TEST_F(MapBuilderTest, AnotherGenerationIsAnotherEndpoint) {
  api::Snapshot snapshot = WebSnapshot();
  const auto first = Build(snapshot);
  const EndpointHandle old_handle = Service(**first, "web").ready[0].handle;
  workers_[1]->counters.endpoints[old_handle].exchanges_total.Add(7);
  workers_[1]->counters.endpoints[old_handle].exchanges_in_flight.Add(1);
  snapshot.services[1].endpoints[0].generation = 2;
  const auto second = Build(snapshot);
  const EndpointHandle handle = Service(**second, "web").ready[0].handle;
  EXPECT_NE(handle, old_handle);
  EXPECT_TRUE(builder_->directory().endpoints.at(old_handle).left);
  for (int i = 0; i < 3; ++i) builder_->Sweep((*second)->version);
  EXPECT_TRUE(builder_->directory().endpoints.contains(old_handle)) << "an exchange is in flight";
  workers_[1]->counters.endpoints[old_handle].exchanges_in_flight.Sub(1);
  for (int i = 0; i < 2; ++i) builder_->Sweep((*second)->version);
  EXPECT_FALSE(builder_->directory().endpoints.contains(old_handle));
  EXPECT_EQ(workers_[1]->counters.endpoints[old_handle].exchanges_total.Get(), 0u) << "zero for the next identity";
}

TEST_F(MapBuilderTest, AServiceIsForgottenWhenItsLastExchangeHasEnded) {
  api::Snapshot snapshot = WebSnapshot();
  const auto first = Build(snapshot);
  const ServiceHandle mysql = builder_->directory().services.at("mysql");
  ServiceCounters& counters = workers_[1]->counters.services[mysql];
  counters.requests_total.Add(7);
  counters.exchanges_in_flight.Add();  // its client still reads; no endpoint holds it any more
  snapshot.services.erase(snapshot.services.begin());
  const auto second = Build(snapshot);
  ASSERT_TRUE(second.ok()) << second.status();
  for (int i = 0; i < 4; ++i) builder_->Sweep((*second)->version);
  EXPECT_EQ(counters.requests_total.Get(), 7u);
  EXPECT_EQ(counters.exchanges_in_flight.Get(), 1u);
  counters.exchanges_in_flight.Sub();
  for (int i = 0; i < 2; ++i) builder_->Sweep((*second)->version);
  EXPECT_EQ(counters.requests_total.Get(), 0u);
}

TEST_F(MapBuilderTest, AWrongSnapshotChangesNothingAndSaysWhere) {
  api::Snapshot good = WebSnapshot();
  ASSERT_TRUE(Build(good).ok());
  const uint64_t version = builder_->current().version;
  const auto message = [&](auto change) {
    api::Snapshot wrong = WebSnapshot(2);
    change(wrong);
    const auto map = Build(wrong);
    EXPECT_EQ(map.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(map.status().message());
  };
  EXPECT_THAT(message([](auto& s) { s.services[1].endpoints[0].address = "web1"; }),
              HasSubstr("services[web].endpoints[a].address: wanted an IPv4 or IPv6 address, got \"web1\""));
  EXPECT_THAT(message([](auto& s) { s.services[1].endpoints[0].weight = 0; }), HasSubstr("weight: wanted 1 to 256, got 0"));
  EXPECT_THAT(message([](auto& s) { s.services[1].endpoints[1].id = "a"; }), HasSubstr("endpoints[a]: this id stands here twice"));
  EXPECT_THAT(message([](auto& s) { s.services[1].timeouts.idle_ms = 0; }), HasSubstr("services[web].timeouts.idle_ms"));
  EXPECT_THAT(message([](auto& s) { s.services[1].endpoint_limit.queue_timeout_ms = 0; }),
              HasSubstr("services[web].endpoint_limit.queue_timeout_ms: wanted 1 to"));
  EXPECT_THAT(message([](auto& s) { s.services[1].ejected_percent_max = 101; }),
              HasSubstr("services[web].ejected_percent_max: wanted 0 to 100, got 101"));
  EXPECT_THAT(message([](auto& s) { s.services[1].name = "mysql"; }), HasSubstr("services[mysql]: this name stands here twice"));
  EXPECT_THAT(message([](auto& s) { s.listeners[0].routes[0].service = "x"; }), HasSubstr("no service is called \"x\""));
  EXPECT_THAT(message([](auto& s) { s.listeners[0].bind = "localhost:80"; }), HasSubstr("listeners[front].bind"));
  EXPECT_THAT(message([](auto& s) { s.listeners[0].head_bytes_max = 16385; }), HasSubstr("head_bytes_max"));
  EXPECT_THAT(message([](auto& s) { s.listeners[0].trusted_proxies = {"10.0.0.0/33"}; }), HasSubstr("trusted_proxies"));
  EXPECT_THAT(message([](auto& s) { s.listeners[0].protocol = api::Protocol::kTcp; s.listeners[0].routes[0].path = "/x"; }),
              HasSubstr("exactly one route"));
  EXPECT_EQ(builder_->current().version, version);
  EXPECT_EQ(builder_->directory().snapshot->version, good.version);
}

TEST_F(MapBuilderTest, AnAddressInUseIsNamedAndEverythingOpenedForItIsClosed) {
  // Not SO_REUSEPORT: nobody can share it.
  const int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_storage storage;
  const socklen_t size = ToSockaddr(*ParseBind("127.0.0.1:0"), storage);
  ASSERT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&storage), size), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  const std::string address = SpellAddress(LocalAddress(taken));
  ASSERT_TRUE(Build(WebSnapshot()).ok());
  const size_t files = OpenFiles();
  api::Snapshot snapshot = WebSnapshot(2);
  snapshot.listeners.push_back(snapshot.listeners[0]);
  snapshot.listeners[1].name = "new";
  snapshot.listeners[1].bind = "[::1]:0";
  snapshot.listeners.push_back(snapshot.listeners[0]);
  snapshot.listeners[2].name = "taken";
  snapshot.listeners[2].bind = address;
  const auto map = Build(snapshot);
  EXPECT_EQ(map.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(map.status().message()), HasSubstr("listener taken: cannot listen on " + address + ": bind: Address already in use"));
  EXPECT_EQ(OpenFiles(), files);
  EXPECT_EQ(builder_->directory().snapshot->version, 1u);
  close(taken);
  EXPECT_TRUE(Build(snapshot).ok()) << "free again: it can be taken now";
}

TEST_F(MapBuilderTest, AListenerThatComesBackGetsNewSocketsUnderAnotherHandle) {
  const api::Snapshot with = WebSnapshot();
  api::Snapshot without = with;
  without.listeners.clear();
  const auto first = Build(with);
  const ListenerHandle before = builder_->directory().listeners.at("front");
  const auto second = Build(without);
  EXPECT_EQ((*second)->listeners[before], nullptr);
  const auto third = Build(with);
  EXPECT_NE(builder_->directory().listeners.at("front"), before);
}

TEST(ListenerSockets, OthersAreSeenThoughTheyWouldShareTheAddress) {
  const auto others = OpenListenerSockets(*ParseBind("127.0.0.1:0"), 1);
  ASSERT_TRUE(others.ok());
  const IpAddress address = LocalAddress(others->front().get());
  EXPECT_TRUE(OthersListen(address));
  EXPECT_TRUE(OpenListenerSockets(address, 1).ok()) << "the kernel lets us in";
  EXPECT_FALSE(OthersListen(*ParseBind("127.0.0.1:0")));
}

TEST_F(MapBuilderTest, ARenamedListenerKeepsItsSockets) {
  api::Snapshot snapshot = WebSnapshot();
  const auto first = Build(snapshot);
  snapshot.listeners[0].name = "renamed";
  const auto second = Build(snapshot);
  EXPECT_EQ((*first)->listeners[0]->sockets, (*second)->listeners[0]->sockets);
  EXPECT_EQ((*second)->listeners[0]->name, "renamed");
}

}  // namespace
}  // namespace ringway::dp
