// What packet delivery reads of a host's interfaces, in a network namespace of the test's own.
#include "dataplane/kernel/interfaces.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>

#include <cstdlib>

namespace ringway::dp {
namespace {

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
  const auto automatic = ChooseInterfaces(Seen(), {});
  ASSERT_EQ(automatic.size(), 2u);
  for (const auto& [interface, mode] : automatic) {
    EXPECT_EQ(interface.index, if_nametoindex(interface.name.c_str()));
    EXPECT_TRUE(interface.name == "d0" || interface.name == "d1") << interface.name;
  }
  EXPECT_NE(automatic[0].first.index, automatic[1].first.index);
  EXPECT_EQ(interfaces_.addresses().size(), 3u);
  EXPECT_EQ(ChooseInterfaces(interfaces_.all(), {{"d0*", api::PacketMode::kAuto}}).size(), 1u);
  EXPECT_TRUE(MissingInterfaces(interfaces_.all(), {{"d0", api::PacketMode::kAuto}}).empty());
}

}  // namespace
}  // namespace ringway::dp
