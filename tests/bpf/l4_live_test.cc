// Packet delivery with real stacks on all sides: what BPF_PROG_TEST_RUN cannot show. Unfinished checksums and GSO as veth pairs
// carry them, neighbours, the three modes in their topologies, path MTU, refusals as a real client understands them.
// tests/integration/packet does the same with the whole dataplane.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <random>

#include "tests/bpf/l4_live_network.h"
#include "tests/bpf/l4_world.h"

namespace ringway::dp {
namespace {

// What came back of `payload`, sent and received at once.
std::string Exchange(int fd, const std::string& payload) {
  std::string back;
  size_t sent = 0;
  std::vector<char> buffer(65536);
  while (back.size() < payload.size()) {
    pollfd entry{fd, static_cast<short>(POLLIN | (sent < payload.size() ? POLLOUT : 0)), 0};
    if (poll(&entry, 1, 5000) <= 0) return back;
    if (entry.revents & POLLOUT) {
      const ssize_t put = send(fd, payload.data() + sent, std::min<size_t>(payload.size() - sent, 65536), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (put < 0 && errno != EAGAIN) return back;
      sent += put > 0 ? static_cast<size_t>(put) : 0;
    }
    if (entry.revents & (POLLIN | POLLHUP | POLLERR)) {
      const ssize_t got = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got == 0 || (got < 0 && errno != EAGAIN)) return back;
      back.append(buffer.data(), got > 0 ? static_cast<size_t>(got) : 0);
    }
  }
  return back;
}

std::string Noise(size_t size) {
  std::mt19937_64 random(size);
  std::string bytes(size, '\0');
  for (size_t i = 0; i + 8 <= size; i += 8) {
    const uint64_t word = random();
    std::memcpy(&bytes[i], &word, 8);
  }
  return bytes;
}


class L4Live : public testing::TestWithParam<bool> {
 protected:
  bool v6() const { return GetParam(); }
  std::string Ip(int last) const { return (v6() ? "fd09::" : "10.9.0.") + std::to_string(last); }
  static RigOptions Options() {
    RigOptions options;
    options.network = false;
    return options;
  }
  void Serve(L4Rig& rig, l4_mode mode, const std::string& vip, int endpoints = 3) {
    std::vector<uint32_t> slots;
    for (uint32_t slot = 1; slot <= static_cast<uint32_t>(endpoints); ++slot) {
      EndpointSpec spec{slot, Ip(10 + static_cast<int>(slot)), 8080, Ip(1), L4_READY, 1};
      if (mode == L4_DIRECT) spec.port = 80;
      rig.SetEndpoint(spec);
      slots.push_back(slot);
    }
    rig.SetTable(slots);
    rig.AddVip(vip, 80, kTcp, mode);
    rig.AddVip(vip, 80, kUdp, mode);
  }
  void Attach(const LiveNetwork& network, L4Rig& rig, bool xdp = false) {
    network.In("lb", [&] {
      rig.AttachTc("eth0");
      rig.AttachTc("front");
      if (xdp) rig.AttachXdp("eth0");
    });
  }
  int Dial(const LiveNetwork& network, const std::string& machine, const std::string& address, int type = SOCK_STREAM) {
    int fd = -1;
    network.In(machine, [&] { fd = Connect(address, 80, type); });
    return fd;
  }
  // TCP, a UDP datagram, and 4 MB both ways.
  void ExpectService(const LiveNetwork& network, const std::string& machine, const std::string& address, size_t bulk = 4 << 20) {
    for (int i = 0; i < 8; ++i) {
      const int fd = Dial(network, machine, address);
      ASSERT_GE(fd, 0) << std::strerror(-fd);
      EXPECT_EQ(Exchange(fd, "hello"), "hello");
      if (i == 0) {
        const std::string noise = Noise(bulk);
        EXPECT_TRUE(Exchange(fd, noise) == noise) << "bulk";
      }
      close(fd);
      const int udp = Dial(network, machine, address, SOCK_DGRAM);
      EXPECT_EQ(Exchange(udp, "question"), "question");
      close(udp);
    }
  }
};

TEST_P(L4Live, NatWithOneArm) {
  LiveNetwork network;
  L4Rig rig(Options());
  Serve(rig, L4_NAT, Ip(1));
  Attach(network, rig);
  EchoServer one(network, "e1", Ip(11), 8080), two(network, "e2", Ip(12), 8080), three(network, "e3", Ip(13), 8080);
  ExpectService(network, "c", Ip(1));
  ExpectService(network, "far", Ip(1));
  ExpectService(network, "e1", Ip(1));  // hairpin
  for (const EchoServer* server : {&one, &two, &three}) EXPECT_GT(server->accepted(), 0u);
  EXPECT_EQ(rig.Count(L4_ACTION_FAILED), 0u);
}

TEST_P(L4Live, NatWithForwardingOff) {
  LiveNetwork network;
  network.Shell("lb", "sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0");
  L4Rig rig(Options());
  Serve(rig, L4_NAT, Ip(1));
  Attach(network, rig);
  EchoServer one(network, "e1", Ip(11), 8080), two(network, "e2", Ip(12), 8080), three(network, "e3", Ip(13), 8080);
  ExpectService(network, "c", Ip(1));
}

TEST_P(L4Live, WithoutOffloads) {
  LiveNetwork network;
  for (const char* machine : {"c", "lb", "e1", "e2", "e3"}) network.Shell(machine, "ethtool -K eth0 tx off tso off gso off gro off >/dev/null 2>&1");
  L4Rig rig(Options());
  Serve(rig, L4_NAT, Ip(1));
  Attach(network, rig);
  EchoServer one(network, "e1", Ip(11), 8080), two(network, "e2", Ip(12), 8080), three(network, "e3", Ip(13), 8080);
  ExpectService(network, "c", Ip(1));
}

// The clients' and endpoints' stacks leave sums to a device, the balancer's has none: they are finished here, after the rewrite.
TEST_P(L4Live, SumsThatSendersLeftAreFinishedHere) {
  LiveNetwork network;
  network.Shell("lb", "ethtool -K eth0 tx off tso off gso off >/dev/null 2>&1");
  L4Rig rig(Options());
  Serve(rig, L4_NAT, Ip(1));
  Attach(network, rig);
  EchoServer one(network, "e1", Ip(11), 8080), two(network, "e2", Ip(12), 8080), three(network, "e3", Ip(13), 8080);
  ExpectService(network, "c", Ip(1));
}

TEST_P(L4Live, XdpWithTcBehindIt) {
  LiveNetwork network;
  // XDP needs finished checksums of all who send; and a veth pair takes frames back only where the other end has XDP too.
  for (const char* machine : {"c", "e1", "e2", "e3"}) network.Shell(machine, "ethtool -K eth0 tx off >/dev/null 2>&1");
  L4Rig rig(Options());
  Serve(rig, L4_NAT, Ip(1));
  Attach(network, rig, true);
  network.In("sw", [&] { rig.AttachXdpPass("plb"); });
  EchoServer one(network, "e1", Ip(11), 8080), two(network, "e2", Ip(12), 8080), three(network, "e3", Ip(13), 8080);
  ExpectService(network, "c", Ip(1), 1 << 20);
  const uint64_t all = rig.Count(L4_TO_ENDPOINT) + rig.Count(L4_TO_CLIENT);
  EXPECT_LT(rig.Count(L4_XDP_HANDED_ON), all / 4) << "XDP did the work";
}

TEST_P(L4Live, JumboFrames) {
  LiveNetwork network(9000);
  L4Rig rig(Options());
  Serve(rig, L4_NAT, Ip(1));
  Attach(network, rig);
  EchoServer one(network, "e1", Ip(11), 8080), two(network, "e2", Ip(12), 8080), three(network, "e3", Ip(13), 8080);
  ExpectService(network, "c", Ip(1));
  const int udp = Dial(network, "c", Ip(1), SOCK_DGRAM);
  EXPECT_EQ(Exchange(udp, Noise(8000)), Noise(8000));
  close(udp);
}

TEST_P(L4Live, LargeDatagramsInFragments) {
  LiveNetwork network;
  L4Rig rig(Options());
  Serve(rig, L4_NAT, Ip(1));
  Attach(network, rig);
  EchoServer one(network, "e1", Ip(11), 8080), two(network, "e2", Ip(12), 8080), three(network, "e3", Ip(13), 8080);
  const int udp = Dial(network, "c", Ip(1), SOCK_DGRAM);
  const std::string large = Noise(6000);
  EXPECT_TRUE(Exchange(udp, large) == large);
  close(udp);
  EXPECT_GE(rig.Count(L4_FRAGMENT), 8u);
}

TEST_P(L4Live, TransparentByTheEndpointsDefaultRoute) {
  LiveNetwork network;
  L4Rig rig(Options());
  Serve(rig, L4_TRANSPARENT, Ip(1));
  Attach(network, rig);
  EchoServer one(network, "e1", Ip(11), 8080), two(network, "e2", Ip(12), 8080), three(network, "e3", Ip(13), 8080);
  ExpectService(network, "far", Ip(1));
  EXPECT_EQ(rig.Count(L4_EVENT_NAT_FALLBACK), 0u);
}

TEST_P(L4Live, DirectReturn) {
  LiveNetwork network;
  const std::string vip = v6() ? "fd09::100" : "10.9.0.100";
  for (const char* machine : {"e1", "e2", "e3"}) {
    network.Shell(machine, "sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2");
    network.Shell(machine, v6() ? "ip address add fd09::100/128 dev lo nodad" : "ip address add 10.9.0.100/32 dev lo");
  }
  L4Rig rig(Options());
  Serve(rig, L4_DIRECT, vip);
  Attach(network, rig);
  EchoServer one(network, "e1", vip, 80), two(network, "e2", vip, 80), three(network, "e3", vip, 80);
  ExpectService(network, "c", vip);
  EXPECT_EQ(rig.Count(L4_TO_CLIENT), 0u);
}

// The way to the endpoints has a smaller MTU than the client's: it must learn it from our ICMP.
TEST_P(L4Live, PathMtuIsFoundThroughUs) {
  LiveNetwork network;
  network.Shell("lb", "ip link set eth0 mtu 1300");
  network.Shell("e1", "ip link set eth0 mtu 1300");
  L4Rig rig(Options());
  Serve(rig, L4_NAT, Ip(1), 1);
  Attach(network, rig);
  EchoServer one(network, "e1", Ip(11), 8080);
  const int udp = Dial(network, "far", Ip(1), SOCK_DGRAM);
  const int discover = v6() ? IPV6_PMTUDISC_DO : IP_PMTUDISC_DO;
  setsockopt(udp, v6() ? IPPROTO_IPV6 : IPPROTO_IP, v6() ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &discover, sizeof(discover));
  EXPECT_EQ(send(udp, Noise(1400).data(), 1400, 0), 1400);
  pollfd entry{udp, POLLIN, 0};
  poll(&entry, 1, 1000);
  char byte = 0;
  EXPECT_EQ(recv(udp, &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EMSGSIZE);
  EXPECT_EQ(Exchange(udp, Noise(1200)), Noise(1200));
  close(udp);
  EXPECT_GT(rig.Count(L4_TOO_BIG), 0u);
  const int tcp = Dial(network, "far", Ip(1));
  const std::string noise = Noise(1 << 20);
  EXPECT_TRUE(Exchange(tcp, noise) == noise);
  close(tcp);
}

// From the endpoint's host: its port unreachable reaches the client as its own.
TEST_P(L4Live, AnEndpointsIcmpErrorReachesTheClient) {
  LiveNetwork network;
  L4Rig rig(Options());
  Serve(rig, L4_NAT, Ip(1), 1);  // nobody listens there
  Attach(network, rig);
  const int udp = Dial(network, "c", Ip(1), SOCK_DGRAM);
  EXPECT_EQ(send(udp, "x", 1, 0), 1);
  pollfd entry{udp, POLLIN, 0};
  poll(&entry, 1, 2000);
  char byte = 0;
  EXPECT_EQ(recv(udp, &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, ECONNREFUSED);
  close(udp);
  EXPECT_EQ(rig.Count(L4_ICMP_TO_CLIENT), 1u);
  EXPECT_EQ(Dial(network, "c", Ip(1)), -ECONNREFUSED) << "its RST";
}

// Our own refusals, of packets whose checksum the client left to a device that there is not; and of finished ones.
TEST_P(L4Live, RefusalsAreUnderstood) {
  for (const char* offloads : {"tx on", "tx off"}) {
    LiveNetwork network;
    network.Shell("c", std::string("ethtool -K eth0 ") + offloads + " >/dev/null 2>&1");
    network.Shell("lb", "ethtool -K eth0 tx off >/dev/null 2>&1");  // sums are finished as they leave, and seen by the client
    L4Rig rig(Options());
    Serve(rig, L4_NAT, Ip(1), 1);
    Attach(network, rig);
    EchoServer one(network, "e1", Ip(11), 8080);
    const int open = Dial(network, "c", Ip(1));
    ASSERT_GE(open, 0);
    EXPECT_EQ(Exchange(open, "hello"), "hello");
    rig.SetTable({});
    EXPECT_EQ(Dial(network, "c", Ip(1)), -ECONNREFUSED) << offloads;
    const int udp = Dial(network, "c", Ip(1), SOCK_DGRAM);
    EXPECT_EQ(send(udp, "question", 8, 0), 8);
    pollfd entry{udp, POLLIN, 0};
    poll(&entry, 1, 2000);
    char byte = 0;
    EXPECT_EQ(recv(udp, &byte, 1, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, ECONNREFUSED) << offloads;
    close(udp);
    rig.SetEndpoint({1, Ip(11), 8080, Ip(1), L4_DEAD, 1});
    EXPECT_EQ(send(open, Noise(5000).data(), 5000, MSG_NOSIGNAL), 5000);
    entry = {open, POLLIN, 0};
    poll(&entry, 1, 2000);
    EXPECT_EQ(recv(open, &byte, 1, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, ECONNRESET) << offloads;
    close(open);
  }
}

// 1,000 connections at once while the table changes a hundred times a second and one endpoint drains: none breaks.
TEST_P(L4Live, AThousandFlowsThroughChangingTables) {
  LiveNetwork network;
  L4Rig rig(Options());
  Serve(rig, L4_NAT, Ip(1));
  Attach(network, rig);
  EchoServer one(network, "e1", Ip(11), 8080), two(network, "e2", Ip(12), 8080), three(network, "e3", Ip(13), 8080);
  std::vector<int> fds;
  network.In("c", [&] {
    for (int i = 0; i < 1000; ++i) fds.push_back(Connect(Ip(1), 80, SOCK_STREAM));
  });
  std::atomic<bool> stop = false;
  uint32_t changes = 0;
  std::thread churn([&] {
    for (; !stop; ++changes) {
      rig.SetTable(changes % 2 ? std::vector<uint32_t>{1, 2, 3} : std::vector<uint32_t>{2, 3});
      rig.SetEndpoint({1, Ip(11), 8080, Ip(1), static_cast<uint8_t>(changes % 2 ? L4_READY : L4_DRAINING), 1});
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
  uint32_t broken = 0;
  for (int round = 0; round < 5; ++round) {
    for (const int fd : fds) broken += fd < 0 || Exchange(fd, "still here?") != "still here?" ? 1 : 0;
  }
  stop = true;
  churn.join();
  EXPECT_EQ(broken, 0u);
  EXPECT_GT(changes, 5u);
  for (const EchoServer* server : {&one, &two, &three}) EXPECT_GT(server->accepted(), 200u);
  EXPECT_EQ(rig.Count(L4_NO_FLOW), 0u);
  EXPECT_EQ(rig.Confirmed().size(), 2000u);
  for (const int fd : fds) close(fd);
}

INSTANTIATE_TEST_SUITE_P(Both, L4Live, testing::Bool(), [](const auto& family) { return family.param ? "V6" : "V4"; });

}  // namespace
}  // namespace ringway::dp
