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
