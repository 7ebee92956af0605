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
          [](const IpAddress& to) { return to.v6 ? 0u : 7u; }};
}

TEST(PacketWanted, OneServiceForEachFamilyThatAListenerHas) {
  const auto services = WantedPacketServices(Snapshot({PacketListener("192.0.2.1:80"), PacketListener("192.0.2.1:53", api::Protocol::kUdp), PacketListener("[fd01::1]:80")}), TestHost());
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
  const auto services = WantedPacketServices(Snapshot({PacketListener("0.0.0.0:80")}), TestHost());
  ASSERT_EQ(services.size(), 1u);
  EXPECT_EQ(services[0].vips.size(), 2u);
}

TEST(PacketWanted, AGivenSourceGoesBeforeRoutings) {
  api::Snapshot snapshot = Snapshot({PacketListener("192.0.2.1:80")});
  snapshot.packet.snat_addresses = {"fd01::9", "192.0.2.9"};
  EXPECT_EQ(WantedPacketServices(snapshot, TestHost())[0].endpoints[0].source, *ParseIp("192.0.2.9", 0));
}

TEST(PacketWanted, OtherDeliveriesAreNotItsConcern) {
  api::Listener proxied = PacketListener("192.0.2.1:80");
  proxied.delivery = api::Delivery::kProxy;
  EXPECT_TRUE(WantedPacketServices(Snapshot({proxied}), TestHost()).empty());
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
  const auto chosen = ChooseInterfaces({loopback, Named("eth0", 2), port, bare, down}, {});
  ASSERT_EQ(chosen.size(), 1u);
  EXPECT_EQ(chosen[0].first.name, "eth0");
}

TEST(PacketInterfaces, NamesAndBeginnings) {
  const auto chosen = ChooseInterfaces({Named("eth0", 2), Named("br-1", 3), Named("br-2", 4), Named("wlan0", 5)},
                                       {{"br-2", api::PacketMode::kTc}, {"br-*", api::PacketMode::kAuto}, {"eth0", api::PacketMode::kXdp}});
  ASSERT_EQ(chosen.size(), 3u);
  EXPECT_EQ(chosen[0].second, api::PacketMode::kXdp);
  EXPECT_EQ(chosen[1].second, api::PacketMode::kAuto);
  EXPECT_EQ(chosen[2].second, api::PacketMode::kTc);
  EXPECT_EQ(MissingInterfaces({Named("eth0", 2)}, {{"eth0", {}}, {"eth1", {}}, {"br-*", {}}}), std::vector<std::string>{"eth1"});
}

}  // namespace
}  // namespace ringway::dp
