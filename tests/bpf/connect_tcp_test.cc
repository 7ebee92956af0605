// The connect delivery with live TCP sockets in a cgroup of the test's own: what a client gets, sees, and leaves behind.
#include <bpf/bpf.h>
#include <sched.h>
#include <sys/wait.h>

#include <map>
#include <thread>

#include "tests/bpf/connect_support.h"

namespace ringway::dp {
namespace {

constexpr char kService[] = "127.10.0.1:7001";
UniqueFd PinnedPeers(const std::string& folder) {
  const std::string path = folder + "/v" + std::to_string(CONNECT_ABI) + "-connect_peers";
  return UniqueFd(bpf_obj_get(path.c_str()));
}

const std::string kRefused = std::string("error: ") + std::strerror(ECONNREFUSED);

TEST_F(ConnectTest, ClientReachesAnEndpointAndSeesTheService) {
  NamedServer a("a", "127.0.0.1:0");
  Apply({Leading(kService, {Target(a)})});
  Client client;
  ASSERT_EQ(client.Connect(kService), 0);
  EXPECT_EQ(client.Receive(), "a");
  EXPECT_EQ(client.Peer(), kService);
  EXPECT_EQ(a.client(), client.Self()) << "the source is the client's own";
}

TEST_F(ConnectTest, Ipv6AndMappedIpv4) {
  NamedServer a("a", "127.0.0.1:0");
  NamedServer b("b", "[::1]:0");
  Apply({Leading(kService, {Target(a)}), Leading("[fd00:7::1]:7001", {Target(b)})});
  EXPECT_EQ(ConnectAndRead("[fd00:7::1]:7001", true), "b");
  Client mapped(false, true);
  ASSERT_EQ(mapped.Connect(kService), 0);
  EXPECT_EQ(mapped.Receive(), "a");
  EXPECT_EQ(mapped.Peer(), kService) << "spelt as IPv4";
}

TEST_F(ConnectTest, OtherPortsAndOtherCgroupsAreLeftAlone) {
  NamedServer a("a", "127.0.0.1:0");
  NamedServer direct("direct", "127.10.0.1:7002");
  Apply({Leading(kService, {Target(a)})});
  EXPECT_EQ(ConnectAndRead("127.10.0.1:7002"), "direct");
  cgroup_.Leave();
  EXPECT_EQ(ConnectAndRead(kService), kRefused);
}

TEST_F(ConnectTest, SharesFollowTheWeights) {
  NamedServer a("a", "127.0.0.1:0"), b("b", "127.0.0.1:0"), c("c", "127.0.0.1:0");
  Apply({Leading(kService, {Target(a), Target(b), Target(c, 2)})});
  std::map<std::string, int> got;
  for (int i = 0; i < 400; ++i) ++got[ConnectAndRead(kService)];
  EXPECT_NEAR(got["a"], 100, 4);
  EXPECT_NEAR(got["b"], 100, 4);
  EXPECT_NEAR(got["c"], 200, 4);
}

TEST_F(ConnectTest, OneThatDrainsKeepsItsConnectionsAndGetsNoNewOnes) {
  NamedServer a("a", "127.0.0.1:0"), b("b", "127.0.0.1:0");
  Apply({Leading(kService, {Target(a)})});
  Client old;
  ASSERT_EQ(old.Connect(kService), 0);
  ASSERT_EQ(old.Receive(), "a");
  Apply({Leading(kService, {Target(b)})});
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ConnectAndRead(kService), "b");
  EXPECT_EQ(old.Send(), 0);
  EXPECT_EQ(old.Peer(), kService);
  EXPECT_EQ(delivery_->OfEndpoint("svc a").open, 1u) << "a drain can wait for it";
  delivery_->Tick();
  EXPECT_EQ(delivery_->OfEndpoint("svc a").open, 1u) << "and the tick does not forget it";
}

TEST_F(ConnectTest, OpenConnectionsAreCountedToTheirClose) {
  NamedServer a("a", "127.0.0.1:0"), b("b", "127.0.0.1:0");
  Apply({Leading(kService, {Target(a)})});
  {
    Client client;
    ASSERT_EQ(client.Connect(kService), 0);
    const UniqueFd copy(dup(client.fd()));
    EXPECT_EQ(delivery_->OfEndpoint("svc a").open, 1u);
  }
  EXPECT_EQ(delivery_->OfEndpoint("svc a").open, 0u);
  EXPECT_EQ(delivery_->OfEndpoint("svc a").chosen, 1u);
  EXPECT_EQ(delivery_->OfService(kService).chosen, 1u);
}

TEST_F(ConnectTest, WhatASocketWasGivenGoesWithIt) {
  NamedServer a("a", "127.0.0.1:0");
  Apply({Leading(kService, {Target(a)})});
  const UniqueFd peers = PinnedPeers(bpf_.pins());
  ASSERT_GE(peers.get(), 0);
  uint64_t cookie = 0;
  {
    Client client;
    ASSERT_EQ(client.Connect(kService), 0);
    EXPECT_EQ(bpf_map_get_next_key(peers.get(), nullptr, &cookie), 0);
  }
  EXPECT_NE(bpf_map_get_next_key(peers.get(), nullptr, &cookie), 0);
}

TEST_F(ConnectTest, MoreSocketsThanTheMapHasRoomForAreServedAlike) {
  NamedServer a("a", "127.0.0.1:0");
  Apply({Leading(kService, {Target(a)})});
  const UniqueFd peers = PinnedPeers(bpf_.pins());
  ASSERT_GE(peers.get(), 0);
  const connect_peer unused{};
  uint64_t cookie = uint64_t{1} << 60;
  while (bpf_map_update_elem(peers.get(), &cookie, &unused, BPF_NOEXIST) == 0) ++cookie;
  ASSERT_EQ(errno, E2BIG);
  {
    Client client;
    ASSERT_EQ(client.Connect(kService), 0);
    EXPECT_EQ(client.Receive(), "a");
    EXPECT_EQ(client.Peer(), kService);
    EXPECT_EQ(delivery_->OfEndpoint("svc a").open, 1u);
  }
  EXPECT_EQ(delivery_->OfEndpoint("svc a").open, 0u);
}

TEST_F(ConnectTest, FailedConnectIsCountedOnceAndTheSocketMayTryAgain) {
  IpAddress nobody;
  {
    const NamedServer gone("gone", "127.0.0.1:0");
    nobody = gone.address();
  }
  NamedServer a("a", "127.0.0.1:0");
  Apply({Leading(kService, {{"svc dead", nobody, 1}})});
  Client client;
  EXPECT_EQ(client.Connect(kService), ECONNREFUSED);
  Apply({Leading(kService, {Target(a)})});
  ASSERT_EQ(client.Connect(kService), 0);
  EXPECT_EQ(client.Receive(), "a");
  EXPECT_EQ(delivery_->OfEndpoint("svc dead").open, 0u);
  EXPECT_EQ(delivery_->OfEndpoint("svc a").open, 1u);
}

TEST_F(ConnectTest, WithoutEndpointItRefusesOrGoesToTheAddressItself) {
  ConnectService service = Leading(kService, {});
  Apply({service});
  EXPECT_EQ(ConnectAndRead(kService), kRefused) << "nobody listens there";
  NamedServer proxy("proxy", kService);
  EXPECT_EQ(ConnectAndRead(kService), "proxy");
  service.refuse_empty = true;
  Apply({service});
  EXPECT_EQ(ConnectAndRead(kService), kRefused);
  EXPECT_EQ(delivery_->OfService(kService).empty, 3u);
}

TEST_F(ConnectTest, LeastOpenEvensOut) {
  NamedServer a("a", "127.0.0.1:0"), b("b", "127.0.0.1:0");
  ConnectService service = Leading(kService, {Target(a)});
  service.least_open = true;
  Apply({service});
  std::vector<std::unique_ptr<Client>> clients;
  const auto connect = [&clients] {
    clients.push_back(std::make_unique<Client>());
    EXPECT_EQ(clients.back()->Connect(kService), 0);
  };
  for (int i = 0; i < 20; ++i) connect();
  service.ready.push_back(Target(b));
  Apply({service});
  // Of two picks at random, one in four falls on `a` twice.
  for (int i = 0; i < 40; ++i) connect();
  EXPECT_GT(delivery_->OfEndpoint("svc b").open, 20u);
  EXPECT_LT(delivery_->OfEndpoint("svc a").open, 40u);
}

TEST_F(ConnectTest, LoopbackBelongsToItsNamespace) {
  NamedServer a("a", "127.0.0.1:0");
  Apply({Leading(kService, {Target(a)})});
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNET) != 0) _exit(2);
    Client client;
    _exit(client.Connect(kService) == ENETUNREACH ? 0 : 1);  // its loopback is down
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(delivery_->OfService(kService).foreign, 1u);
  EXPECT_EQ(delivery_->OfService(kService).chosen, 0u);
}

TEST_F(ConnectTest, GoesOnWithoutItsProcessAndIsTakenOverByTheNext) {
  NamedServer a("a", "127.0.0.1:0"), b("b", "127.0.0.1:0");
  Apply({Leading(kService, {Target(a)})});
  Client old;
  ASSERT_EQ(old.Connect(kService), 0);
  delivery_.reset();
  EXPECT_EQ(ConnectAndRead(kService), "a");
  delivery_ = Start();
  EXPECT_EQ(ConnectAndRead(kService), "a");
  Apply({Leading(kService, {Target(b)})});
  EXPECT_EQ(ConnectAndRead(kService), "b");
  EXPECT_EQ(old.Peer(), kService);
  EXPECT_EQ(delivery_->OfEndpoint("svc a").open, 1u);
  EXPECT_EQ(delivery_->OfService(kService).chosen, 4u);
}

TEST_F(ConnectTest, TwoDoNotShareAFolder) {
  NamedServer a("a", "127.0.0.1:0");
  Apply({Leading(kService, {Target(a)})});
  EXPECT_TRUE(absl::IsFailedPrecondition(ConnectDelivery::Start(bpf_.pins(), "").status()));
  EXPECT_TRUE(ConnectDelivery::Detach(bpf_.pins()).ok()) << "none of its";
  EXPECT_EQ(ConnectAndRead(kService), "a");
  delivery_.reset();
  delivery_ = Start();
}

TEST_F(ConnectTest, OneOfAnotherNetworkNamespaceLeavesItAloneWhileThatLives) {
  NamedServer a("a", "127.0.0.1:0");
  Apply({Leading(kService, {Target(a)})});
  delivery_.reset();
  std::thread([&] {
    EXPECT_EQ(unshare(CLONE_NEWNET), 0);  // of this thread
    const absl::Status status = ConnectDelivery::Start(bpf_.pins(), "").status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status));
    EXPECT_NE(status.message().find("another network namespace"), std::string::npos) << status;
    EXPECT_TRUE(ConnectDelivery::Detach(bpf_.pins()).ok()) << "none of its";
  }).join();
  EXPECT_EQ(ConnectAndRead(kService), "a");
  delivery_ = Start();
  EXPECT_EQ(ConnectAndRead(kService), "a");
}

// A container that was killed and has started again; its cgroup is one that outlives it.
TEST_F(ConnectTest, WhatANetworkNamespaceThatHasEndedLeftIsTakenOver) {
  NamedServer a("a", "127.0.0.1:0");
  delivery_.reset();
  ASSERT_TRUE(ConnectDelivery::Detach(bpf_.pins()).ok());
  std::thread([&] {
    EXPECT_EQ(unshare(CLONE_NEWNET), 0);
    delivery_ = Start();
    Apply({Leading("10.9.9.9:80", {})});
    delivery_.reset();
  }).join();
  absl::Status status = absl::UnknownError("");
  for (int i = 0; i < 1000 && !status.ok(); ++i) {  // the kernel ends a namespace in its own time
    auto delivery = ConnectDelivery::Start(bpf_.pins(), "");
    status = delivery.status();
    if (status.ok()) delivery_ = *std::move(delivery);
    else usleep(10'000);
  }
  ASSERT_TRUE(status.ok()) << status;
  Apply({Leading(kService, {Target(a)})});
  EXPECT_EQ(ConnectAndRead(kService), "a");
}

TEST_F(ConnectTest, DetachLeavesNoTrace) {
  NamedServer a("a", "127.0.0.1:0");
  Apply({Leading(kService, {Target(a)})});
  Client old;
  ASSERT_EQ(old.Connect(kService), 0);
  delivery_.reset();
  ASSERT_TRUE(ConnectDelivery::Detach(bpf_.pins()).ok());
  EXPECT_FALSE(std::filesystem::exists(bpf_.pins()));
  EXPECT_EQ(ConnectAndRead(kService), kRefused);
  EXPECT_EQ(old.Send(), 0) << "what is connected stays so";
  EXPECT_EQ(old.Peer(), SpellAddress(a.address()));
}

TEST_F(ConnectTest, ServiceAndCgroupThatLeaveAreForgotten) {
  NamedServer a("a", "127.0.0.1:0");
  Apply({Leading(kService, {Target(a)}), Leading("127.10.0.1:7002", {Target(a)})});
  Apply({Leading("127.10.0.1:7002", {Target(a)})});
  EXPECT_EQ(ConnectAndRead(kService), kRefused);
  EXPECT_EQ(ConnectAndRead("127.10.0.1:7002"), "a");
  Cgroup other("b");
  EXPECT_TRUE(delivery_->Apply({Leading("127.10.0.1:7002", {Target(a)})}, {other.path()}).ok());
  EXPECT_EQ(ConnectAndRead("127.10.0.1:7002"), kRefused);
}

TEST_F(ConnectTest, CgroupThatComesLaterIsTakenThen) {
  NamedServer a("a", "127.0.0.1:0");
  const std::string path = cgroup_.path() + "-late";
  const absl::Status missing = delivery_->Apply({Leading(kService, {Target(a)})}, {path});
  EXPECT_TRUE(absl::IsNotFound(missing)) << missing;
  EXPECT_NE(missing.message().find(path), std::string::npos);
  Cgroup late("a-late");
  ASSERT_EQ(late.path(), path);
  delivery_->Tick();
  EXPECT_TRUE(delivery_->status().ok()) << delivery_->status();
  late.Enter();
  EXPECT_EQ(ConnectAndRead(kService), "a");
  cgroup_.Enter();
}

TEST_F(ConnectTest, FolderThatIsNoCgroupIsSaidToBeNone) {
  const absl::Status status = delivery_->Apply({}, {"/tmp"});
  EXPECT_NE(status.message().find("cgroup v2"), std::string::npos) << status;
}

// A cgroup that is no longer served: its sockets go on, and a drain that waits for them sees their close.
TEST_F(ConnectTest, ClosesAreCountedAfterTheCgroupHasLeft) {
  NamedServer a("a", "127.0.0.1:0");
  Apply({Leading(kService, {Target(a)})});
  Cgroup other("b");
  auto client = std::make_unique<Client>();
  ASSERT_EQ(client->Connect(kService), 0);
  EXPECT_TRUE(delivery_->Apply({Leading(kService, {Target(a)})}, {other.path()}).ok());
  delivery_->Tick();
  EXPECT_EQ(delivery_->OfEndpoint("svc a").open, 1u);
  client.reset();
  EXPECT_EQ(delivery_->OfEndpoint("svc a").open, 0u);
  const auto pins = [this] { return std::distance(std::filesystem::directory_iterator(bpf_.pins()), {}); };
  const auto before = pins();
  delivery_->Tick();
  EXPECT_EQ(pins(), before - 1) << "the last program of the cgroup that left";
}

TEST_F(ConnectTest, AnEndpointKeepsItsCountersWhileItIsListed) {
  NamedServer a("a", "127.0.0.1:0"), b("b", "127.0.0.1:0");
  Apply({Leading(kService, {Target(a), Target(b)})});
  for (int i = 0; i < 10; ++i) ConnectAndRead(kService);
  const uint64_t chosen = delivery_->OfEndpoint("svc a").chosen;
  EXPECT_GT(chosen, 0u);
  ConnectService service = Leading(kService, {Target(b)});
  service.resting = {"svc a"};
  Apply({service});
  delivery_->Tick();
  EXPECT_EQ(delivery_->OfEndpoint("svc a").chosen, chosen) << "drains";
  Apply({Leading(kService, {Target(b)})});
  delivery_->Tick();
  EXPECT_EQ(delivery_->OfEndpoint("svc a").chosen, 0u) << "has left";
}

ConnectService Large(const std::string& address, uint32_t endpoints, uint16_t port) {
  ConnectService service = Leading(address, {});
  for (uint32_t i = 0; i < endpoints; ++i) service.ready.push_back({"svc " + std::to_string(i), Ip("127.0.0.1:" + std::to_string(port)), 1});
  return service;
}

// Each change needs the service's places anew, and those of before are freed by the tick.
TEST_F(ConnectTest, ManyChangesOfManyEndpointsBetweenTwoTicks) {
  NamedServer a("a", "127.0.0.1:0");
  for (uint32_t i = 0; i < 40; ++i) Apply({Large(kService, 4096 + i, a.address().port)});
  EXPECT_EQ(ConnectAndRead(kService), "a");
}

TEST_F(ConnectTest, ATableThatDoesNotFitLeavesTheOneBeforeAndIsTriedAgain) {
  NamedServer a("a", "127.0.0.1:0"), b("b", "127.0.0.1:0");
  const uint16_t to_a = a.address().port, to_b = b.address().port;
  const ConnectService third = Large("127.10.0.1:7003", 10000, to_a);
  Apply({Leading(kService, {Target(a)}), Large("127.10.0.1:7002", 32000, to_a), third});
  const absl::Status full = delivery_->Apply({Large(kService, 30000, to_b), Large("127.10.0.1:7002", 10, to_b), third}, {cgroup_.path()});
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  EXPECT_NE(full.message().find(kService), std::string::npos) << full;
  EXPECT_EQ(ConnectAndRead(kService), "a") << "as before";
  EXPECT_EQ(ConnectAndRead("127.10.0.1:7002"), "b") << "the one that fits";
  delivery_->Tick();
  EXPECT_TRUE(delivery_->status().ok()) << delivery_->status();
  EXPECT_EQ(ConnectAndRead(kService), "b");
}

// A table is replaced while sockets choose from it.
TEST_F(ConnectTest, NoConnectFailsWhileTheTablesChange) {
  NamedServer a("a", "127.0.0.1:0"), b("b", "127.0.0.1:0"), c("c", "127.0.0.1:0");
  const std::vector<ConnectTarget> all = {Target(a), Target(b), Target(c)};
  Apply({Leading(kService, all)});
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0}, connected{0};
  std::thread client([&] {
    while (!stop) (ConnectAndRead(kService).size() == 1 ? connected : failed)++;
  });
  for (int i = 0; i < 1000; ++i) {
    const size_t first = static_cast<size_t>(i % 3);
    Apply({Leading(kService, {all[first], all[(first + 1) % 3]})});
    if (i % 100 == 99) delivery_->Tick();
  }
  stop = true;
  client.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(connected, 0);
}

}  // namespace
}  // namespace ringway::dp
