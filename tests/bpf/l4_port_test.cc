// Source ports of NAT: each endpoint has the whole range, no port twice at a time, on however many CPUs.
#include <arpa/inet.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include "tests/bpf/l4_world.h"

namespace ringway::dp {
namespace {

class L4Port : public L4World {
 protected:
  static RigOptions Range(uint16_t first, uint16_t last) {
    RigOptions options;
    options.port_first = first;
    options.port_last = last;
    return options;
  }

  static uint32_t Moment() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint32_t>((static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec)) >> L4_MOMENT_SHIFT) | 1;
  }

  // Half-open flows began when `when` says, by the client's port and what stands there.
  template <typename When>
  static void Opened(L4Rig& rig, When when) {
    for (auto [key, flow] : rig.HalfOpen()) {
      flow.opened = when(ntohs(flow.flags & L4_FLOW_CLIENT ? key.source_port : flow.dest_port), flow.opened);
      rig.PutHalfOpen(key, flow);
    }
  }

  // Opens `count` flows from ports `first_port` on from two CPUs at once, each for a client of its own.
  void OnTwoCpus(L4Rig& rig, uint16_t first_port, uint16_t count) {
    const int ifindex = rig.IndexOf("eth0");
    std::atomic<int> ready{0};
    auto open = [&](int cpu) {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(cpu % static_cast<int>(std::thread::hardware_concurrency()), &set);
      sched_setaffinity(0, sizeof(set), &set);
      std::vector<Frame> frames;
      for (uint16_t i = 0; i < count; ++i) {
        Packet syn = FromClient(kSyn, static_cast<uint16_t>(first_port + i));
        syn.source = client(10 + cpu);
        frames.push_back(Build(syn));
      }
      ++ready;
      while (ready < 2) {
      }
      for (Frame& frame : frames) xdp() ? rig.RunXdp(frame, ifindex) : rig.RunTc(frame, ifindex);
    };
    std::thread first(open, 0), second(open, 1);
    first.join();
    second.join();
  }
};

TEST_P(L4Port, TheRangeIsUsedUpThenRefused) {
  L4Rig rig(Range(20000, 20063));
  Serve(rig, L4_NAT);
  std::set<uint16_t> ports;
  for (uint16_t i = 0; i < 64; ++i) {
    ports.insert(Connect(rig, static_cast<uint16_t>(40000 + i)).source_port);
  }
  EXPECT_EQ(ports.size(), 64u);
  EXPECT_EQ(*ports.begin(), 20000);
  EXPECT_EQ(*ports.rbegin(), 20063);
  const Outcome none = rig.Run(way(), FromClient(kSyn, 50000));
  EXPECT_EQ(Name(none.verdict), "NO_PORT");
  EXPECT_EQ(none.reading.packet.flags, kRst | kAck);
  EXPECT_EQ(rig.EndpointTraffic(1).refused, 1u);
  EXPECT_EQ(Name(rig.Run(way(), Query()).verdict), "TO_ENDPOINT") << "UDP has a range of its own";
}

TEST_P(L4Port, EachEndpointHasTheWholeRange) {
  L4Rig rig(Range(20000, 20031));
  Serve(rig, L4_NAT, 0, 2);
  rig.SetTable({1});
  for (uint16_t i = 0; i < 32; ++i) rig.Run(way(), FromClient(kSyn, static_cast<uint16_t>(40000 + i)));
  rig.SetTable({2});
  for (uint16_t i = 0; i < 32; ++i) {
    EXPECT_EQ(Name(rig.Run(way(), FromClient(kSyn, static_cast<uint16_t>(41000 + i))).verdict), "TO_ENDPOINT");
  }
}

// Another range while flows are there: they keep their ports and their ways, new ones get the new range's.
TEST_P(L4Port, AnotherRangeIsForNewFlows) {
  L4Rig rig(Range(20000, 20003));
  Serve(rig, L4_NAT);
  std::vector<Packet> before;
  for (uint16_t i = 0; i < 4; ++i) before.push_back(Connect(rig, static_cast<uint16_t>(40000 + i)));
  rig.SetPorts(20002, 20005);
  for (uint16_t i = 0; i < 2; ++i) EXPECT_GT(Connect(rig, static_cast<uint16_t>(41000 + i)).source_port, 20003);
  EXPECT_EQ(Name(rig.Run(way(), FromClient(kSyn, 50000)).verdict), "NO_PORT");
  for (uint16_t i = 0; i < 4; ++i) {
    const Outcome out = rig.Run(way(), FromClient(kAck, static_cast<uint16_t>(40000 + i)));
    EXPECT_EQ(out.reading.packet.source_port, before[i].source_port);
    const Outcome back = rig.Run(way(), Answer(before[i], kAck));
    EXPECT_EQ(Name(back.verdict), "TO_CLIENT");
    EXPECT_EQ(back.reading.packet.dest_port, 40000 + i);
  }
}

TEST_P(L4Port, AFlowThatIsOverGivesItsPortUpBeforeItsTime) {
  L4Rig rig(Range(20000, 20003));
  Serve(rig, L4_NAT);
  for (uint16_t i = 0; i < 4; ++i) Connect(rig, static_cast<uint16_t>(40000 + i));
  EXPECT_EQ(Name(rig.Run(way(), FromClient(kSyn, 50000)).verdict), "NO_PORT");
  rig.Run(way(), FromClient(kRst, 40002));
  const Outcome syn = rig.Run(way(), FromClient(kSyn, 50000));
  EXPECT_EQ(Name(syn.verdict), "TO_ENDPOINT");
  EXPECT_EQ(rig.Count(L4_EVENT_PORT_RECYCLED), 1u);
  EXPECT_EQ(Name(rig.Run(way(), FromClient(kAck, 40002)).verdict), "NO_FLOW");
  for (const uint16_t port : {40000, 40001, 40003}) EXPECT_EQ(Name(rig.Run(way(), FromClient(kAck, port)).verdict), "TO_ENDPOINT");
}

// A flood of SYNs that took every port: those whose client should have answered long ago give way, fresh ones do not.
TEST_P(L4Port, AnOldHandshakeGivesItsPortUp) {
  L4Rig rig(Range(20000, 20003));
  Serve(rig, L4_NAT);
  for (uint16_t i = 0; i < 4; ++i) rig.Run(way(), FromClient(kSyn, static_cast<uint16_t>(40000 + i)));
  Opened(rig, [](uint16_t, uint32_t opened) { return opened + 100 * L4_MOMENTS_REPEATED; });  // fresh, however long this takes
  EXPECT_EQ(Name(rig.Run(way(), FromClient(kSyn, 50000)).verdict), "NO_PORT");
  Opened(rig, [](uint16_t client, uint32_t) { return Moment() - (client == 40002 ? 3 : 2) * L4_MOMENTS_REPEATED; });
  EXPECT_EQ(Name(rig.Run(way(), FromClient(kSyn, 50001)).verdict), "TO_ENDPOINT");
  EXPECT_EQ(rig.HalfOpen().size(), 8u);
  EXPECT_EQ(rig.Count(L4_EVENT_HALF_OPEN_DISPLACED), 1u);
  EXPECT_EQ(Name(rig.Run(way(), FromClient(kAck, 40002)).verdict), "NO_FLOW") << "the oldest";
  EXPECT_EQ(Name(rig.Run(way(), FromClient(kAck, 40001)).verdict), "TO_ENDPOINT");
}

// Questions, too: of a flood of them the oldest gives way, one of this second does not.
TEST_P(L4Port, AnOldQuestionGivesItsPortUp) {
  L4Rig rig(Range(20000, 20003));
  Serve(rig, L4_NAT);
  for (uint16_t i = 0; i < 4; ++i) rig.Run(way(), Query(static_cast<uint16_t>(40000 + i)));
  Opened(rig, [](uint16_t client, uint32_t tick) { return client == 40001 ? tick - 2 : tick + 100; });
  EXPECT_EQ(Name(rig.Run(way(), Query(50000)).verdict), "TO_ENDPOINT");
  EXPECT_EQ(Name(rig.Run(way(), Query(50001)).verdict), "NO_PORT");
  EXPECT_EQ(rig.Count(L4_EVENT_HALF_OPEN_DISPLACED), 1u);
}

TEST_P(L4Port, APortOfThisMachinesSocketsIsLeftToThem) {
  L4Rig rig(Range(20000, 20000));
  Serve(rig, L4_NAT);
  const int listener = socket(v6() ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(20000);
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(20000);
  ASSERT_EQ(bind(listener, v6() ? reinterpret_cast<sockaddr*>(&six) : reinterpret_cast<sockaddr*>(&four), v6() ? sizeof(six) : sizeof(four)), 0)
      << std::strerror(errno);
  ASSERT_EQ(listen(listener, 1), 0);
  EXPECT_EQ(Name(rig.Run(way(), FromClient(kSyn)).verdict), "NO_PORT");
  EXPECT_GT(rig.Count(L4_EVENT_PORT_LOCAL), 0u);
  close(listener);
  EXPECT_EQ(Name(rig.Run(way(), FromClient(kSyn)).verdict), "TO_ENDPOINT");
}

TEST_P(L4Port, ATransparentClientWhoseTupleIsTakenGetsNat) {
  L4Rig rig;
  Serve(rig, L4_TRANSPARENT);
  rig.AddVip(vip(), 81, kTcp, L4_TRANSPARENT);
  Packet other = FromClient(kSyn);
  other.dest_port = 81;
  EXPECT_EQ(rig.Run(way(), FromClient(kSyn)).reading.packet.source, client());
  const Outcome second = rig.Run(way(), other);
  EXPECT_EQ(second.reading.packet.source, vip());
  const Outcome back = rig.Run(way(), Answer(second.reading.packet, kSyn | kAck));
  EXPECT_EQ(back.reading.packet.dest, client());
  EXPECT_EQ(back.reading.packet.source_port, 81);
}

// Two CPUs, the same endpoint, nine of ten ports of the range, different clients: what one reserves the other does not get.
TEST_P(L4Port, TwoCpusNeverTakeTheSamePort) {
  L4Rig rig(Range(20000, 23999));
  Serve(rig, L4_NAT);
  OnTwoCpus(rig, 30000, 1800);
  std::set<uint16_t> reserved;
  std::map<uint16_t, std::pair<std::string, uint16_t>> owner;
  const L4Rig::Flows flows = rig.HalfOpen();
  for (const auto& [key, flow] : flows) {
    if (!(flow.flags & L4_FLOW_CLIENT)) {
      reserved.insert(ntohs(key.dest_port));
      continue;
    }
    const auto [at, fresh] = owner.try_emplace(ntohs(flow.source_port), "", key.source_port);
    EXPECT_TRUE(fresh) << "two clients have port " << at->first;
  }
  EXPECT_EQ(owner.size(), 3600u);
  EXPECT_EQ(reserved.size(), 3600u);
  EXPECT_EQ(rig.Count(L4_NO_PORT), 0u);
}

// All ports belong to flows that may lose them; two CPUs want new ones at once, and choose the same to take.
TEST_P(L4Port, TwoCpusNeverTakeTheSamePortFromAnotherFlow) {
  enum Kind { kOver, kOverAndConfirmed, kStalled };
  constexpr uint16_t kPorts = 4;
  L4Rig rig(Range(20000, 20000 + kPorts - 1));
  Serve(rig, L4_NAT);
  for (uint16_t i = 0; i < kPorts; ++i) rig.Run(way(), FromClient(kSyn, static_cast<uint16_t>(20000 + i)));
  const L4Rig::Flows begun = rig.HalfOpen();
  for (const Kind kind : {kOver, kOverAndConfirmed, kStalled}) {
    int twice = 0;
    int opened = 0;
    constexpr uint16_t kRounds = 1500;
    for (uint16_t round = 0; round < kRounds; ++round) {
      rig.ForgetFlows();
      for (auto [key, flow] : begun) {
        if (kind == kStalled) flow.opened -= 3000000;
        if (kind != kStalled) flow.state = L4_RESET;
        kind == kOverAndConfirmed ? rig.PutConfirmed(key, flow) : rig.PutHalfOpen(key, flow);
      }
      OnTwoCpus(rig, static_cast<uint16_t>(30000 + round), 1);
      std::map<uint16_t, int> owners;
      for (const auto& [key, flow] : rig.HalfOpen()) {
        if ((flow.flags & L4_FLOW_CLIENT) && ntohs(key.source_port) == 30000 + round) ++owners[ntohs(flow.source_port)];
      }
      for (const auto& [port, count] : owners) twice += count > 1;
      opened += static_cast<int>(owners.size());
    }
    EXPECT_EQ(twice, 0) << "of " << kRounds << " rounds, kind " << kind;
    EXPECT_GT(opened, kRounds) << "kind " << kind;
  }
}

L4_INSTANTIATE(L4Port);

}  // namespace
}  // namespace ringway::dp
