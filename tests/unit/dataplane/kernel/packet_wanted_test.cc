// From a snapshot and this host's addresses to services, and from names to interfaces.
#include "dataplane/kernel/packet_wanted.h"

#include <gtest/gtest.h>

#include "dataplane/feed/address.h"
#include "dataplane/kernel/interfaces.h"

namespace ringway::dp {
namespace {

api::Endpoint At(const std::string& address, api::EndpointState state = api::EndpointState::kReady) {
  api::Endpoint endpoint;
  endpoint.id = "n/" + address;
  endpoint.address = address;
  endpoint.port = 8080;
  endpoint.state = state;
  return endpoint;
}

api::Listener PacketListener(const std::string& bind, api::Protocol protocol = api::Protocol::kTcp) {
  api::Listener listener;
  listener.name = bind;
  listener.bind = bind;
  listener.protocol = protocol;
  listener.delivery = api::Delivery::kPacket;
  listener.routes = {{"", "", "web"}};
  return listener;
}

api::Snapshot Snapshot(std::vector<api::Listener> listeners) {
  api::Service web;
  web.name = "web";
  web.endpoints = {At("10.0.0.1"), At("10.0.0.2", api::EndpointState::kDown), At("fd00::1", api::EndpointState::kDraining)};
  api::Snapshot snapshot;
  snapshot.listeners = std::move(listeners);
  snapshot.services = {web};
  return snapshot;
}

Host TestHost() {
  return {{*ParseIp("192.0.2.1", 0), *ParseIp("192.0.2.2", 0), *ParseIp("fd01::1", 0)},
          [](const IpAddress& to) { return *ParseIp(to.v6 ? "fd01::1" : "192.0.2.2", 0); },
          [](const IpAddress& to) { return to.v6 ? 0u : 7u; },
          [](const IpAddress&) -> const Route& {
            static const Route there{Route::Kind::kThere, {7}, true};
            return there;
          },
          {}};
}

TEST(PacketWanted, OneServiceForEachFamilyThatAListenerHas) {
  const auto services = WantedByPacket(Snapshot({PacketListener("192.0.2.1:80"), PacketListener("192.0.2.1:53", api::Protocol::kUdp), PacketListener("[fd01::1]:80")}), TestHost()).services;
  ASSERT_EQ(services.size(), 2u);
  EXPECT_EQ(services[0].name, "web/4");
  EXPECT_EQ(services[0].vips.size(), 2u);
  ASSERT_EQ(services[0].endpoints.size(), 2u);
  EXPECT_EQ(services[0].endpoints[0].state, L4_READY);
  EXPECT_EQ(services[0].endpoints[1].state, L4_DEAD);
  EXPECT_EQ(services[0].endpoints[0].source, *ParseIp("192.0.2.2", 0));
  EXPECT_EQ(services[0].endpoints[0].peer, 7u);
  EXPECT_EQ(services[1].name, "web/6");
  ASSERT_EQ(services[1].endpoints.size(), 1u);
  EXPECT_EQ(services[1].endpoints[0].state, L4_DRAINING);
}

TEST(PacketWanted, AWildcardIsEveryAddressOfItsFamily) {
  const auto services = WantedByPacket(Snapshot({PacketListener("0.0.0.0:80")}), TestHost()).services;
  ASSERT_EQ(services.size(), 1u);
  EXPECT_EQ(services[0].vips.size(), 2u);
}

TEST(PacketWanted, AGivenSourceGoesBeforeRoutings) {
  api::Snapshot snapshot = Snapshot({PacketListener("192.0.2.1:80")});
  snapshot.packet.snat_addresses = {"fd01::9", "192.0.2.9"};
  EXPECT_EQ(WantedByPacket(snapshot, TestHost()).services[0].endpoints[0].source, *ParseIp("192.0.2.9", 0));
}

TEST(PacketWanted, OtherDeliveriesAreNotItsConcern) {
  api::Listener proxied = PacketListener("192.0.2.1:80");
  proxied.delivery = api::Delivery::kProxy;
  EXPECT_TRUE(WantedByPacket(Snapshot({proxied}), TestHost()).services.empty());
}

// Ways by the last byte of an address: 1 this host's own, 2 none, the others by interface 7.
Host HostWithWays() {
  Host host = TestHost();
  host.route = [](const IpAddress& to) -> const Route& {
    static const Route own{Route::Kind::kOwn, {1}, false}, none, there{Route::Kind::kThere, {7}, true}, both{Route::Kind::kThere, {7, 9}, false};
    switch (to.bytes[3]) {
      case 1: return own;
      case 2: return none;
      case 4: return both;
      default: return there;
    }
  };
  return host;
}

api::Snapshot Four() {
  api::Snapshot snapshot = Snapshot({PacketListener("192.0.2.1:80")});
  snapshot.services[0].endpoints = {At("10.0.0.1"), At("10.0.0.2"), At("10.0.0.3"), At("10.0.0.4")};
  return snapshot;
}

std::vector<std::string> Troubled(const PacketWanted& wanted) {
  std::vector<std::string> names;
  for (const PacketTrouble& one : wanted.troubles) names.push_back(one.endpoint);
  return names;
}

TEST(PacketWanted, AnEndpointThatIsThisHostItselfIsLeftOutAndSaid) {
  const PacketWanted wanted = WantedByPacket(Four(), HostWithWays());
  ASSERT_EQ(wanted.services[0].endpoints.size(), 3u);
  EXPECT_EQ(wanted.services[0].endpoints[0].address, *ParseIp("10.0.0.2", 8080)) << "without a route: counted as such";
  EXPECT_EQ(Troubled(wanted), (std::vector<std::string>{"web/n/10.0.0.1", "web/n/10.0.0.2"}));
  EXPECT_EQ(wanted.troubles[0].identity, PacketIdentity("web", Four().services[0].endpoints[0]));
}

TEST(PacketWanted, AnswersByAnInterfaceWithoutProgramsAreTroubleUnlessTheyGoPast) {
  Host host = HostWithWays();
  host.unheard[9] = "by nine";
  api::Snapshot snapshot = Four();
  EXPECT_EQ(WantedByPacket(snapshot, host).troubles.back().words, "by nine");
  EXPECT_EQ(Troubled(WantedByPacket(snapshot, host)).size(), 3u);
  snapshot.packet.nat = api::PacketNat::kDirect;
  EXPECT_EQ(Troubled(WantedByPacket(snapshot, host)).size(), 2u);
}

TEST(PacketWanted, ReadyEndpointsThatNoListenerOfTheirFamilyLeadsToAreTrouble) {
  api::Snapshot snapshot = Snapshot({PacketListener("[fd01::1]:80")});
  EXPECT_EQ(Troubled(WantedByPacket(snapshot, TestHost())), std::vector<std::string>{"web/n/10.0.0.1"}) << "10.0.0.2 is down";
  snapshot.listeners.push_back(PacketListener("192.0.2.1:80"));
  EXPECT_TRUE(WantedByPacket(snapshot, TestHost()).troubles.empty());
}

TEST(PacketTroubles, ACauseIsSaidOnceForAnEndpoint) {
  using namespace std::chrono_literals;
  const PacketTroubles::Time start{};
  PacketTroubles troubles;
  EXPECT_EQ(troubles.Note({{1, "a", "own"}, {2, "b", "own"}, {3, "c", "lost"}}, start), (std::vector<std::string>{"c: lost", "a and 1 more: own"}));
  EXPECT_EQ(troubles.Words(), "c: lost; a and 1 more: own");
  EXPECT_EQ(troubles.Note({{1, "a", "own"}, {4, "d", "own"}}, start + 1s), std::vector<std::string>{"d: own"});
  EXPECT_TRUE(troubles.Note({}, start + 2s).empty());
  EXPECT_EQ(troubles.Words(), "");
  EXPECT_TRUE(troubles.Note({{1, "a", "own"}}, start + 3s).empty());
  troubles.Note({}, start + 15min);
  EXPECT_EQ(troubles.Note({{1, "a", "own"}}, start + 16min), std::vector<std::string>{"a: own"});
}

Interface Named(const std::string& name, uint32_t index) {
  Interface interface;
  interface.name = name;
  interface.index = index;
  interface.up = true;
  interface.addressed = true;
  return interface;
}

TEST(PacketInterfaces, WithoutNamesThoseWithAnAddress) {
  Interface loopback = Named("lo", 1), port = Named("veth1", 3), bare = Named("eth9", 4), down = Named("eth8", 5);
  loopback.loopback = true;
  port.bridged = true;
  bare.addressed = false;
  down.up = false;
  const auto chosen = ChooseInterfaces({loopback, Named("eth0", 2), port, bare, down}, {}, {});
  ASSERT_EQ(chosen.size(), 1u);
  EXPECT_EQ(chosen[0].first.name, "eth0");
}

TEST(PacketInterfaces, NamesAndBeginnings) {
  const auto chosen = ChooseInterfaces({Named("eth0", 2), Named("br-1", 3), Named("br-2", 4), Named("wlan0", 5)},
                                       {{"br-2", api::PacketMode::kTc}, {"br-*", api::PacketMode::kAuto}, {"eth0", api::PacketMode::kXdp}}, {});
  ASSERT_EQ(chosen.size(), 3u);
  EXPECT_EQ(chosen[0].second, api::PacketMode::kXdp);
  EXPECT_EQ(chosen[1].second, api::PacketMode::kAuto);
  EXPECT_EQ(chosen[2].second, api::PacketMode::kTc);
  EXPECT_EQ(MissingInterfaces({Named("eth0", 2)}, {{"eth0", {}}, {"eth1", {}}, {"br-*", {}}}), std::vector<std::string>{"eth1"});
}

TEST(PacketInterfaces, WithoutNamesAWayToAnEndpointIsEnough) {
  Interface bare = Named("cali1", 4), port = Named("veth1", 3), tunnel = Named("wg0", 5);
  bare.addressed = false;
  port.bridged = true;
  tunnel.ethernet = false;
  const std::vector<Interface> all{bare, port, tunnel};
  EXPECT_TRUE(ChooseInterfaces(all, {}, {}).empty());
  const auto chosen = ChooseInterfaces(all, {}, {3, 4, 5});
  ASSERT_EQ(chosen.size(), 1u);
  EXPECT_EQ(chosen[0].first.name, "cali1");
  EXPECT_EQ(HeaderlessInterfaces(all, {}, {}), std::vector<std::string>{"wg0"});
  EXPECT_TRUE(ChooseInterfaces(all, {{"wg*", {}}}, {}).empty());
  EXPECT_EQ(HeaderlessInterfaces(all, {{"wg*", {}}}, {}), std::vector<std::string>{"wg0"});
}

TEST(PacketInterfaces, ThoseThatAnswersAreNotSeenBy) {
  Interface port = Named("veth1", 3), tunnel = Named("wg0", 5);
  port.bridged = true;
  tunnel.ethernet = false;
  const std::vector<Interface> all{Named("eth0", 2), port, tunnel};
  const auto automatic = UnheardInterfaces(all, {});
  EXPECT_EQ(automatic.size(), 2u);
  EXPECT_NE(automatic.at(3).find("port of another"), std::string::npos);
  const auto named = UnheardInterfaces(all, {{"veth*", {}}, {"wg0", {}}});
  EXPECT_EQ(named.size(), 2u);
  EXPECT_NE(named.at(2).find("add \"eth0\""), std::string::npos);
  EXPECT_NE(named.at(5).find("without an Ethernet header"), std::string::npos);
}

}  // namespace
}  // namespace ringway::dp
