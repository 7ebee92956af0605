// What packet delivery reads of a host's interfaces, in a network namespace of the test's own.
#include "dataplane/kernel/interfaces.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>

#include <cstdlib>

#include "dataplane/feed/address.h"

namespace ringway::dp {
namespace {

using namespace std::chrono_literals;

class InterfacesHere : public testing::Test {
 protected:
  InterfacesHere() { EXPECT_EQ(unshare(CLONE_NEWNET), 0); }
  static bool Shell(const std::string& command) { return std::system(command.c_str()) == 0; }
  const std::vector<Interface>& Seen() {
    EXPECT_TRUE(interfaces_.Look(Interfaces::Clock::now()));
    return interfaces_.all();
  }
  Interfaces interfaces_;
};

// All addresses of an interface have labels: it is the interface that is addressed, once, by its own name.
TEST_F(InterfacesHere, AreNoLabelsOfTheirAddresses) {
  ASSERT_TRUE(Shell("ip link add d0 type veth peer name d1 && ip link set d0 up && ip addr add 10.9.0.1/24 dev d0 label d0:1"));
  ASSERT_TRUE(Shell("ip addr add 10.9.1.1/24 dev d0 label d0:web"));
  ASSERT_TRUE(Shell("ip link set d1 up && ip addr add 10.9.2.1/24 dev d1 label d1web"));  // without a colon
  const auto automatic = ChooseInterfaces(Seen(), {}, {});
  ASSERT_EQ(automatic.size(), 2u);
  for (const auto& [interface, mode] : automatic) {
    EXPECT_EQ(interface.index, if_nametoindex(interface.name.c_str()));
    EXPECT_TRUE(interface.name == "d0" || interface.name == "d1") << interface.name;
  }
  EXPECT_NE(automatic[0].first.index, automatic[1].first.index);
  EXPECT_EQ(interfaces_.addresses().size(), 3u);
  EXPECT_EQ(ChooseInterfaces(interfaces_.all(), {{"d0*", api::PacketMode::kAuto}}, {}).size(), 1u);
  EXPECT_TRUE(MissingInterfaces(interfaces_.all(), {{"d0", api::PacketMode::kAuto}}).empty());
}

TEST_F(InterfacesHere, LookAtManyChangesFourTimesASecond) {
  Interfaces mine;  // listens in this namespace
  const Interfaces::Clock::time_point start = Interfaces::Clock::now();
  EXPECT_TRUE(mine.Look(start));
  ASSERT_TRUE(Shell("ip link add d0 type veth peer name d1"));
  EXPECT_FALSE(mine.Look(start + 100ms));
  EXPECT_FALSE(mine.Look(start + 200ms));
  EXPECT_TRUE(mine.Look(start + 250ms)) << "what was told while it rested";
  EXPECT_EQ(mine.all().size(), 3u);
  EXPECT_FALSE(mine.Look(start + 600ms));
}

TEST_F(InterfacesHere, WaysToAddresses) {
  ASSERT_TRUE(Shell("ip link set lo up; ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up && ip addr add 10.9.0.1/24 dev d0"));
  ASSERT_TRUE(Shell("ip addr add 10.9.1.1/24 dev d1 && ip -6 addr add fd09::1/64 dev d0 nodad"));
  ASSERT_TRUE(Shell("ip route add 10.9.5.5 dev d0 && ip route add 10.9.6.6 via 10.9.0.9 && ip route add unreachable 10.9.7.7"));
  ASSERT_TRUE(Shell("ip route add 10.9.8.0/24 nexthop via 10.9.0.9 nexthop via 10.9.1.9"));
  const uint32_t d0 = if_nametoindex("d0"), d1 = if_nametoindex("d1");
  Seen();
  const auto way = [this](const char* to) { return interfaces_.RouteOf(*ParseIp(to, 0)); };
  for (const char* own : {"10.9.0.1", "127.0.0.1", "127.9.9.9", "fd09::1", "::1"}) EXPECT_EQ(way(own).kind, Route::Kind::kOwn) << own;
  for (const char* lost : {"10.9.7.7", "192.0.2.1", "fd0a::1"}) EXPECT_EQ(way(lost).kind, Route::Kind::kNone) << lost;
  EXPECT_EQ(way("10.9.0.7").out, std::vector<uint32_t>{d0});
  EXPECT_EQ(way("fd09::7").out, std::vector<uint32_t>{d0});
  EXPECT_FALSE(way("10.9.0.7").host);
  EXPECT_TRUE(way("10.9.5.5").host);
  EXPECT_FALSE(way("10.9.6.6").host);
  EXPECT_EQ(way("10.9.8.8").out, (std::vector<uint32_t>{d0, d1}));
}

}  // namespace
}  // namespace ringway::dp
