// Flows: how they begin, are confirmed, end, and what a change of endpoints, tables and generations does to them.
#include <arpa/inet.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <set>
#include <thread>

#include "tests/bpf/l4_world.h"

namespace ringway::dp {
namespace {

class L4Flow : public L4World {
 protected:
  // The state of the only connection; both of its entries agree. -1 without one.
  static int State(const L4Rig& rig) {
    L4Rig::Flows flows = rig.Confirmed();
    for (const auto& flow : rig.HalfOpen()) flows.push_back(flow);
    if (flows.empty()) return -1;
    for (const auto& [key, flow] : flows) EXPECT_EQ(flow.state, flows[0].second.state);
    return flows[0].second.state;
  }
  Outcome Client(L4Rig& rig, uint8_t flags) const { return rig.Run(way(), FromClient(flags)); }
  Outcome Endpoint(L4Rig& rig, const Packet& out, uint8_t flags) const { return rig.Run(way(), Answer(out, flags)); }
};

TEST_P(L4Flow, StatesOfAConnectionThatTheClientEnds) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Packet out = Client(rig, kSyn).reading.packet;
  EXPECT_EQ(State(rig), L4_SYN);
  EXPECT_EQ(rig.HalfOpen().size(), 2u);
  Client(rig, kSyn);
  EXPECT_EQ(rig.HalfOpen().size(), 2u) << "a SYN sent again is the same flow's";
  Endpoint(rig, out, kSyn | kAck);
  EXPECT_EQ(State(rig), L4_SYN_ACK);
  EXPECT_TRUE(rig.Confirmed().empty());
  Client(rig, kAck);
  EXPECT_EQ(State(rig), L4_ESTABLISHED);
  EXPECT_TRUE(rig.HalfOpen().empty());
  EXPECT_EQ(rig.Confirmed().size(), 2u);
  Client(rig, kFin | kAck);
  EXPECT_EQ(State(rig), L4_FIN_CLIENT);
  Endpoint(rig, out, kAck);
  EXPECT_EQ(State(rig), L4_FIN_CLIENT);
  Endpoint(rig, out, kFin | kAck);
  EXPECT_EQ(State(rig), L4_CLOSED);
  EXPECT_EQ(Name(Client(rig, kAck).verdict), "TO_ENDPOINT") << "the last ACK still passes";
  EXPECT_EQ(State(rig), L4_CLOSED);
}

// Milliseconds of a sum.
double Ms(const l4_round_trip& one) { return static_cast<double>(one.sum << L4_MOMENT_SHIFT) / 1e6; }

TEST_P(L4Flow, AHandshakeTellsBothRoundTrips) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Packet out = Client(rig, kSyn).reading.packet;
  usleep(3000);
  Endpoint(rig, out, kSyn | kAck);
  Endpoint(rig, out, kSyn | kAck);
  usleep(9000);
  Client(rig, kAck);
  Client(rig, kAck);
  for (const l4_traffic& traffic : {rig.ServiceTraffic(), rig.EndpointTraffic(1)}) {
    EXPECT_EQ(traffic.endpoint_rtt.samples, 1u);
    EXPECT_EQ(traffic.client_rtt.samples, 1u);
    EXPECT_GE(Ms(traffic.endpoint_rtt), 3);
    EXPECT_GE(Ms(traffic.client_rtt), 9);
    EXPECT_EQ(traffic.syn_repeated, 0u);
  }
}

TEST_P(L4Flow, ARepeatedStepIsCountedAndNotMeasured) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Packet out = Client(rig, kSyn).reading.packet;
  usleep(120000);
  Client(rig, kSyn);
  Client(rig, kSyn);
  Endpoint(rig, out, kSyn | kAck);
  Client(rig, kAck);
  const l4_traffic traffic = rig.EndpointTraffic(1);
  EXPECT_EQ(traffic.syn_repeated, 1u);
  EXPECT_EQ(traffic.endpoint_rtt.samples, 0u);
  EXPECT_EQ(traffic.client_rtt.samples, 1u);
}

TEST_P(L4Flow, DirectReturnTellsNoRoundTrip) {
  L4Rig rig;
  Serve(rig, L4_DIRECT);
  Client(rig, kSyn);
  Client(rig, kAck);
  EXPECT_EQ(rig.ServiceTraffic().flows_opened, 1u);
  EXPECT_EQ(rig.ServiceTraffic().endpoint_rtt.samples + rig.ServiceTraffic().client_rtt.samples, 0u);
}

TEST_P(L4Flow, StatesOfAConnectionThatTheEndpointEnds) {
  L4Rig rig;
  Serve(rig, L4_TRANSPARENT);
  const Packet out = Connect(rig);
  Endpoint(rig, out, kFin | kAck);
  EXPECT_EQ(State(rig), L4_FIN_ENDPOINT);
  Client(rig, kFin | kAck);
  EXPECT_EQ(State(rig), L4_CLOSED);
}

// Both sides close at once, each by a CPU of its own: the flow is over, and no drain waits for it.
TEST_P(L4Flow, TwoCpusThatCloseAFlowCloseIt) {
  constexpr uint16_t kFlows = 400, kFirst = 40000;
  L4Rig rig;
  Serve(rig, L4_NAT);
  std::vector<Frame> from_client, from_endpoint;
  for (uint16_t i = 0; i < kFlows; ++i) {
    const Packet out = Connect(rig, static_cast<uint16_t>(kFirst + i));
    from_client.push_back(Build(FromClient(kFin | kAck, static_cast<uint16_t>(kFirst + i))));
    from_endpoint.push_back(Build(Answer(out, static_cast<uint8_t>((i % 4 == 3 ? kRst : kFin) | kAck))));
  }
  const int ifindex = rig.IndexOf("eth0");
  std::atomic<int> turn = 0;
  auto close = [&](int cpu, std::vector<Frame>& frames) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu % static_cast<int>(std::thread::hardware_concurrency()), &set);
    sched_setaffinity(0, sizeof(set), &set);
    for (int i = 0; i < kFlows; ++i) {
      turn.fetch_add(1);
      for (int spin = 0; turn.load() < 2 * (i + 1) && spin < 10000000; ++spin) {
      }
      if (xdp()) rig.RunXdp(frames[static_cast<size_t>(i)], ifindex);
      if (!xdp()) rig.RunTc(frames[static_cast<size_t>(i)], ifindex);
    }
  };
  std::thread first(close, 0, std::ref(from_client)), second(close, 1, std::ref(from_endpoint));
  first.join();
  second.join();
  const L4Rig::Flows flows = rig.Confirmed();
  EXPECT_EQ(flows.size(), 2u * kFlows);
  for (const auto& [key, flow] : flows) {
    const uint16_t port = flow.flags & L4_FLOW_CLIENT ? ntohs(key.source_port) : ntohs(flow.dest_port);
    EXPECT_EQ(flow.state, port % 4 == 3 ? L4_RESET : L4_CLOSED) << port << (flow.flags & L4_FLOW_CLIENT ? " client's" : " endpoint's");
  }
}

TEST_P(L4Flow, ResetByEither) {
  for (const bool by_client : {true, false}) {
    L4Rig rig;
    Serve(rig, L4_NAT);
    const Packet out = Connect(rig);
    if (by_client) {
      EXPECT_EQ(Name(Client(rig, kRst).verdict), "TO_ENDPOINT");
    } else {
      EXPECT_EQ(Name(Endpoint(rig, out, kRst).verdict), "TO_CLIENT");
    }
    EXPECT_EQ(State(rig), L4_RESET);
    EXPECT_EQ(rig.ServiceTraffic().flows_reset, 1u);
  }
}

// Blind RSTs: who sends on has not reset anything.
TEST_P(L4Flow, AForgedResetEndsNothing) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Packet out = Connect(rig);
  Client(rig, kRst);
  Endpoint(rig, out, kAck);
  EXPECT_EQ(State(rig), L4_RESET) << "the endpoint did not know yet";
  EXPECT_EQ(Name(Client(rig, kAck).verdict), "TO_ENDPOINT");
  EXPECT_EQ(State(rig), L4_ESTABLISHED);
}

TEST_P(L4Flow, ASynReplacesAFlowThatIsOver) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  Connect(rig);
  Client(rig, kRst);
  EXPECT_EQ(Name(Client(rig, kSyn).verdict), "TO_ENDPOINT");
  EXPECT_EQ(State(rig), L4_SYN);
  EXPECT_TRUE(rig.Confirmed().empty());
  EXPECT_EQ(rig.Count(L4_EVENT_REUSED), 1u);
}

TEST_P(L4Flow, AnAckAloneConfirmsNothing) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  Client(rig, kSyn);
  Client(rig, kAck);
  EXPECT_EQ(State(rig), L4_SYN) << "the endpoint has not answered";
  EXPECT_TRUE(rig.Confirmed().empty());
}

TEST_P(L4Flow, UdpIsConfirmedByAnAnswerAndAnother) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Packet out = rig.Run(way(), Query()).reading.packet;
  rig.Run(way(), Query());
  EXPECT_EQ(State(rig), L4_UDP_NEW);
  rig.Run(way(), Answer(out, 0, "answer"));
  EXPECT_EQ(State(rig), L4_UDP_ANSWERED);
  EXPECT_TRUE(rig.Confirmed().empty()) << "one question is no stream";
  rig.Run(way(), Query());
  EXPECT_EQ(State(rig), L4_UDP_STREAM);
  EXPECT_EQ(rig.Confirmed().size(), 2u);
  EXPECT_TRUE(rig.HalfOpen().empty());
}

TEST_P(L4Flow, DirectReturnIsTrackedOneWay) {
  L4Rig rig;
  Serve(rig, L4_DIRECT);
  Client(rig, kSyn);
  EXPECT_EQ(rig.HalfOpen().size(), 1u);
  Client(rig, kAck);
  EXPECT_EQ(State(rig), L4_ESTABLISHED);
  EXPECT_EQ(rig.Confirmed().size(), 1u);
  Client(rig, kFin | kAck);
  EXPECT_EQ(State(rig), L4_FIN_CLIENT);
}

TEST_P(L4Flow, DrainingKeepsItsFlowsAndGetsNone) {
  L4Rig rig;
  Serve(rig, L4_NAT, 0, 2);
  std::map<uint16_t, std::string> at;
  for (uint16_t port = 40000; port < 40020; ++port) at[port] = Connect(rig, port).dest;
  EndpointSpec draining = Spec(1);
  draining.state = L4_DRAINING;
  rig.SetEndpoint(draining);  // the table still names it
  for (uint16_t port = 40000; port < 40040; ++port) {
    const Outcome outcome = rig.Run(way(), FromClient(port < 40020 ? kAck : kSyn, port));
    EXPECT_EQ(Name(outcome.verdict), "TO_ENDPOINT");
    EXPECT_EQ(outcome.reading.packet.dest, port < 40020 ? at[port] : endpoint(2));
  }
  EXPECT_GT(rig.Count(L4_EVENT_NOT_READY), 0u);
}

TEST_P(L4Flow, AChangedTableMovesNoFlow) {
  L4Rig rig;
  Serve(rig, L4_NAT, 0, 3);
  std::map<uint16_t, std::string> at;
  for (uint16_t port = 40000; port < 40030; ++port) at[port] = Connect(rig, port).dest;
  rig.SetTable({2});
  for (uint16_t port = 40000; port < 40030; ++port) EXPECT_EQ(rig.Run(way(), FromClient(kAck, port)).reading.packet.dest, at[port]);
  for (uint16_t port = 40030; port < 40050; ++port) EXPECT_EQ(rig.Run(way(), FromClient(kSyn, port)).reading.packet.dest, endpoint(2));
}

// The slot has another owner: to it the old one's packets must not go.
TEST_P(L4Flow, AnotherGenerationIsAnotherEndpoint) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  Connect(rig);
  EndpointSpec next = Spec(1);
  next.generation = 2;
  next.address = endpoint(2);
  rig.SetEndpoint(next);
  EXPECT_EQ(Name(Client(rig, kAck).verdict), "ENDPOINT_GONE");
  const Outcome syn = Client(rig, kSyn);
  EXPECT_EQ(Name(syn.verdict), "TO_ENDPOINT");
  EXPECT_EQ(syn.reading.packet.dest, endpoint(2));
}

// A SYN, or a datagram, of a flow whose endpoint died finds another in the same packet.
TEST_P(L4Flow, FirstPacketsMoveOnFromADeadEndpoint) {
  L4Rig rig;
  Serve(rig, L4_NAT, 0, 2);
  rig.SetTable({1});
  EXPECT_EQ(Client(rig, kSyn).reading.packet.dest, endpoint(1));
  EXPECT_EQ(rig.Run(way(), Query()).reading.packet.dest, endpoint(1));
  EndpointSpec dead = Spec(1);
  dead.state = L4_DEAD;
  rig.SetEndpoint(dead);
  rig.SetTable({2});
  EXPECT_EQ(Client(rig, kSyn).reading.packet.dest, endpoint(2));
  EXPECT_EQ(rig.Run(way(), Query()).reading.packet.dest, endpoint(2));
}

TEST_P(L4Flow, AFullTableLeavesNewFlowsUnconfirmedAndWorking) {
  RigOptions options;
  options.flows_max = 8;  // four connections
  L4Rig rig(options);
  Serve(rig, L4_NAT);
  std::map<uint16_t, Packet> out;
  for (uint16_t port = 40000; port < 40010; ++port) out[port] = Connect(rig, port);
  EXPECT_EQ(rig.Confirmed().size() % 2, 0u);
  EXPECT_LE(rig.Confirmed().size(), 8u);
  EXPECT_GT(rig.Count(L4_EVENT_TABLE_FULL), 0u);
  for (const auto& [port, packet] : out) {
    EXPECT_EQ(Name(rig.Run(way(), FromClient(kAck, port, "data")).verdict), "TO_ENDPOINT");
    EXPECT_EQ(Name(rig.Run(way(), Answer(packet, kAck, "data")).verdict), "TO_CLIENT");
  }
}

TEST_P(L4Flow, AFloodOfSynsEvictsNoConfirmedFlow) {
  RigOptions options;
  options.half_open_max = 1024;
  L4Rig rig(options);
  Serve(rig, L4_TRANSPARENT);
  std::map<uint16_t, Packet> out;
  for (uint16_t port = 40000; port < 40010; ++port) out[port] = Connect(rig, port);
  Packet syn = FromClient(kSyn);
  for (int i = 0; i < 5000; ++i) {
    syn.source = client(20 + i / 100);
    syn.source_port = static_cast<uint16_t>(1024 + i);
    Frame frame = Build(syn);
    if (xdp()) rig.RunXdp(frame, rig.IndexOf("eth0"));
    if (!xdp()) rig.RunTc(frame, rig.IndexOf("eth0"));
  }
  EXPECT_LE(rig.HalfOpen().size(), 1024u);
  for (const auto& [port, packet] : out) {
    EXPECT_EQ(Name(rig.Run(way(), FromClient(kAck, port)).verdict), "TO_ENDPOINT");
    EXPECT_EQ(Name(rig.Run(way(), Answer(packet, kAck)).verdict), "TO_CLIENT");
  }
}

TEST_P(L4Flow, TheSameAddressesChooseTheSameEndpoint) {
  L4Rig rig;
  Serve(rig, L4_NAT, 0, 4);
  std::map<uint16_t, std::string> first;
  std::map<std::string, int> share;
  for (uint16_t port = 1024; port < 3024; ++port) first[port] = rig.Run(way(), FromClient(kSyn, port)).reading.packet.dest;
  rig.ForgetFlows();
  for (const auto& [port, dest] : first) {
    ++share[dest];
    if (port % 10 != 0) continue;
    EXPECT_EQ(rig.Run(way(), FromClient(kSyn, port)).reading.packet.dest, dest);
  }
  ASSERT_EQ(share.size(), 4u);
  for (const auto& [dest, count] : share) EXPECT_NEAR(count, 500, 90) << dest;  // 4.6 sigma
}

L4_INSTANTIATE(L4Flow);

}  // namespace
}  // namespace ringway::dp
