// The connect delivery with live UDP sockets: a datagram goes to an endpoint, its answer seems to come from the service.
#include <set>

#include "tests/bpf/connect_support.h"

namespace ringway::dp {
namespace {

constexpr char kService[] = "127.10.0.1:5301";
constexpr char kOther[] = "127.10.0.2:5301";

TEST_F(ConnectTest, ConnectedUdpSocketHearsTheService) {
  NamedServer a("a", "127.0.0.1:0", true);
  Apply({Leading(kService, {Target(a)}, true)});
  Client client(true);
  ASSERT_EQ(client.Connect(kService), 0);
  EXPECT_EQ(client.Peer(), kService);
  EXPECT_EQ(client.Send(), 0);
  EXPECT_EQ(client.Receive(), "a");
  EXPECT_EQ(client.from(), kService);
}

TEST_F(ConnectTest, UnconnectedUdpSocketHearsTheService) {
  NamedServer a("a", "127.0.0.1:0", true);
  NamedServer b("b", "[::1]:0", true);
  Apply({Leading(kService, {Target(a)}, true), Leading("[fd00:7::1]:5301", {Target(b)}, true)});
  Client four(true), mapped(true, true), six(true, true);
  EXPECT_EQ(four.Ask(kService), "a");
  EXPECT_EQ(four.from(), kService);
  EXPECT_EQ(mapped.Ask(kService), "a");
  EXPECT_EQ(mapped.from(), kService);
  EXPECT_EQ(six.Ask("[fd00:7::1]:5301"), "b");
  EXPECT_EQ(six.from(), "[fd00:7::1]:5301");
}

TEST_F(ConnectTest, SocketStaysWithItsEndpointWhileThatIsReady) {
  NamedServer a("a", "127.0.0.1:0", true), b("b", "127.0.0.1:0", true), c("c", "127.0.0.1:0", true);
  Apply({Leading(kService, {Target(a), Target(b)}, true)});
  Client client(true);
  const std::string first = client.Ask(kService);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(client.Ask(kService), first);
  // Another table, but the same endpoint in it.
  Apply({Leading(kService, {Target(a), Target(b), Target(c)}, true)});
  EXPECT_EQ(client.Ask(kService), first);
  Apply({Leading(kService, {Target(c)}, true)});
  EXPECT_EQ(client.Ask(kService), "c");
  EXPECT_EQ(client.from(), kService);
}

TEST_F(ConnectTest, SocketsAreSpread) {
  NamedServer a("a", "127.0.0.1:0", true), b("b", "127.0.0.1:0", true);
  Apply({Leading(kService, {Target(a), Target(b)}, true)});
  std::set<std::string> names;
  for (int i = 0; i < 10; ++i) names.insert(Client(true).Ask(kService));
  EXPECT_EQ(names.size(), 2u);
}

TEST_F(ConnectTest, OneSocketManyServices) {
  NamedServer a("a", "127.0.0.1:0", true), b("b", "127.0.0.1:0", true), direct("direct", "127.10.0.3:5301", true);
  std::vector<ConnectService> services = {Leading(kService, {Target(a)}, true), Leading(kOther, {Target(b)}, true)};
  for (int i = 0; i < 4; ++i) services.push_back(Leading("127.10.1." + std::to_string(i) + ":5301", {Target(b)}, true));
  Apply(services);
  Client client(true);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(client.Ask(kService), "a");
    EXPECT_EQ(client.from(), kService);
    EXPECT_EQ(client.Ask(kOther), "b");
    EXPECT_EQ(client.from(), kOther);
    EXPECT_EQ(client.Ask("127.10.0.3:5301"), "direct");
    EXPECT_EQ(client.from(), "127.10.0.3:5301");
    EXPECT_EQ(client.Ask("127.10.1." + std::to_string(round) + ":5301"), "b");
  }
}

TEST_F(ConnectTest, UdpWithoutEndpointIsRefused) {
  ConnectService service = Leading(kService, {}, true);
  service.refuse_empty = true;
  Apply({service});
  Client client(true);
  EXPECT_EQ(client.SendTo(kService), ECONNREFUSED);
  EXPECT_EQ(client.Connect(kService), ECONNREFUSED);
}

TEST_F(ConnectTest, TcpServiceLeavesUdpAlone) {
  NamedServer a("a", "127.0.0.1:0");
  NamedServer direct("direct", kService, true);
  Apply({Leading(kService, {Target(a)})});
  Client client(true);
  EXPECT_EQ(client.Ask(kService), "direct");
  EXPECT_EQ(client.from(), kService);
}

}  // namespace
}  // namespace ringway::dp
