// What is answered in place: RST and ICMP errors made of the packet itself, and silence where the service wants it.
#include "tests/bpf/l4_world.h"

namespace ringway::dp {
namespace {

class L4Refuse : public L4World {
 protected:
  void ExpectRst(const Outcome& outcome, const Packet& in, uint32_t seq, uint32_t ack, bool with_ack) const {
    EXPECT_EQ(outcome.action, kTcRedirect);
    ASSERT_TRUE(SumsOk(outcome.reading));
    const Packet& rst = outcome.reading.packet;
    EXPECT_EQ(rst.source, in.dest);
    EXPECT_EQ(rst.dest, in.source);
    EXPECT_EQ(rst.source_port, in.dest_port);
    EXPECT_EQ(rst.dest_port, in.source_port);
    EXPECT_EQ(rst.flags, with_ack ? kRst | kAck : kRst);
    EXPECT_EQ(rst.seq, seq);
    EXPECT_EQ(rst.ack, ack);
    EXPECT_TRUE(rst.payload.empty());
    EXPECT_EQ(outcome.reading.ethernet_dest, "02:00:00:00:00:99");
    EXPECT_EQ(outcome.reading.ethernet_source, "02:00:00:00:00:01");
  }
  // An ICMP error about `in`, to its sender, with the beginning of `in` inside.
  void ExpectIcmp(const Outcome& outcome, const Packet& in, uint8_t type, uint8_t code, uint32_t rest = 0) const {
    EXPECT_EQ(outcome.action, kTcRedirect);
    ASSERT_TRUE(SumsOk(outcome.reading));
    const Packet& error = outcome.reading.packet;
    EXPECT_EQ(error.protocol, v6() ? kIcmpV6 : kIcmp);
    EXPECT_EQ(error.icmp_type, type);
    EXPECT_EQ(error.icmp_code, code);
    EXPECT_EQ(error.icmp_rest, rest);
    EXPECT_EQ(error.source, in.dest);
    EXPECT_EQ(error.dest, in.source);
    ASSERT_GE(error.inside.size(), (v6() ? 40u : 20u) + 8u);
    EXPECT_EQ(error.inside, Inside(Build(in), static_cast<uint32_t>(error.inside.size())));
    EXPECT_EQ(outcome.reading.ethernet_dest, "02:00:00:00:00:99");
  }
};

TEST_P(L4Refuse, NoEndpointResetsTheSyn) {
  L4Rig rig;
  Serve(rig, L4_NAT, 0, 0);
  Packet syn = FromClient(kSyn);
  syn.options = v6() ? 0 : 12;
  const Outcome outcome = rig.Run(way(), syn);
  EXPECT_EQ(Name(outcome.verdict), "NO_ENDPOINT");
  ExpectRst(outcome, syn, 0, syn.seq + 1, true);
  EXPECT_EQ(rig.ServiceTraffic().refused, 1u);
  EXPECT_TRUE(rig.HalfOpen().empty());
}

TEST_P(L4Refuse, NoEndpointIsPortUnreachableOverUdp) {
  L4Rig rig;
  Serve(rig, L4_NAT, 0, 0);
  for (const char* payload : {"", "x", "a question longer than what an error shows of it, as most are"}) {
    const Packet query = Query(40000, payload);
    const Outcome outcome = rig.Run(way(), query);
    EXPECT_EQ(Name(outcome.verdict), "NO_ENDPOINT");
    ExpectIcmp(outcome, query, v6() ? 1 : 3, v6() ? 4 : 3);
  }
}

TEST_P(L4Refuse, WithoutATableIsWithoutAnEndpoint) {
  L4Rig rig;
  rig.AddVip(vip(), 80, kTcp, L4_NAT);
  EXPECT_EQ(Name(rig.Run(way(), FromClient(kSyn)).verdict), "NO_ENDPOINT");
}

TEST_P(L4Refuse, SilenceWhereTheServiceWantsIt) {
  L4Rig rig;
  Serve(rig, L4_NAT, L4_VIP_SILENT, 0);
  for (const Packet& packet : {FromClient(kSyn), FromClient(kAck), Query()}) {
    const Outcome outcome = rig.Run(way(), packet);
    EXPECT_EQ(Name(outcome.verdict), "SILENCED");
    EXPECT_EQ(outcome.action, outcome.by_xdp ? kXdpDrop : kTcShot);
  }
  EXPECT_EQ(rig.ServiceTraffic().refused, 2u) << "the new ones, each once";
}

TEST_P(L4Refuse, MiddleOfAnUnknownConnectionIsReset) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  Packet data = FromClient(kAck | kPsh, 40000, "middle");
  data.ack = 5555;
  const Outcome outcome = rig.Run(way(), data);
  EXPECT_EQ(Name(outcome.verdict), "NO_FLOW");
  ExpectRst(outcome, data, 5555, 0, false);
  const Outcome fin = rig.Run(way(), FromClient(kFin, 40000, "abc"));
  ExpectRst(fin, FromClient(kFin), 0, 1000 + 3 + 1, true);
}

TEST_P(L4Refuse, ARstIsNeverAnswered) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Outcome outcome = rig.Run(way(), FromClient(kRst));
  EXPECT_EQ(Name(outcome.verdict), "NO_FLOW");
  EXPECT_EQ(outcome.action, kTcShot);
}

TEST_P(L4Refuse, ADeadEndpointsClientIsReset) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Packet out = Connect(rig);
  EndpointSpec dead = Spec(1);
  dead.state = L4_DEAD;
  rig.SetEndpoint(dead);
  Packet data = FromClient(kAck, 40000, "anybody there?");
  data.ack = 777;
  const Outcome outcome = rig.Run(way(), data);
  EXPECT_EQ(Name(outcome.verdict), "ENDPOINT_GONE");
  ExpectRst(outcome, data, 777, 0, false);
  EXPECT_TRUE(rig.Confirmed().empty());
  EXPECT_EQ(rig.EndpointTraffic(1).flows_dropped, 1u);
  EXPECT_EQ(Name(rig.Run(way(), Answer(out, kAck)).verdict), "NOT_OURS") << "what it still sends has no flow";
}

TEST_P(L4Refuse, ADeadEndpointsOwnPacketEndsTheFlowToo) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Packet out = Connect(rig);
  EndpointSpec dead = Spec(1);
  dead.state = L4_ABSENT;
  rig.SetEndpoint(dead);
  const Outcome outcome = rig.Run(way(), Answer(out, kAck, "late"));
  EXPECT_EQ(Name(outcome.verdict), "ENDPOINT_GONE");
  EXPECT_EQ(outcome.action, kTcShot);
  EXPECT_EQ(Name(rig.Run(way(), FromClient(kAck)).verdict), "NO_FLOW");
}

TEST_P(L4Refuse, ADeadEndpointInSilence) {
  L4Rig rig;
  Serve(rig, L4_NAT, L4_VIP_SILENT);
  Connect(rig);
  EndpointSpec dead = Spec(1);
  dead.state = L4_DEAD;
  rig.SetEndpoint(dead);
  EXPECT_EQ(Name(rig.Run(way(), FromClient(kAck)).verdict), "SILENCED");
  EXPECT_TRUE(rig.Confirmed().empty());
}

TEST_P(L4Refuse, HopLimit) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  for (const uint8_t ttl : {0, 1}) {
    Packet syn = FromClient(kSyn);
    syn.ttl = ttl;
    const Outcome outcome = rig.Run(way(), syn);
    EXPECT_EQ(Name(outcome.verdict), "TTL_EXPIRED");
    ExpectIcmp(outcome, syn, v6() ? 3 : 11, 0);
  }
  Packet syn = FromClient(kSyn);
  syn.ttl = 2;
  EXPECT_EQ(rig.Run(way(), syn).reading.packet.ttl, 1);
}

// out0 has an MTU of 1400, eth0 of 1500.
TEST_P(L4Refuse, TooBigIsToldToTheClient) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  EndpointSpec far = Spec(1);
  far.address = far_endpoint();
  far.source = v6() ? "fd01::1" : "10.1.0.1";
  rig.SetEndpoint(far);
  for (Packet packet : {Query(40000, std::string(1400, 'q')), Query(40001, std::string(1373, 'q'))}) {
    if (v6() && packet.payload.size() < 1400) packet.payload.resize(1353);
    const Outcome outcome = rig.Run(way(), packet);
    EXPECT_EQ(Name(outcome.verdict), "TOO_BIG");
    ExpectIcmp(outcome, packet, v6() ? 2 : 3, v6() ? 0 : 4, 1400);
  }
  EXPECT_EQ(Name(rig.Run(way(), Query(40002, std::string(v6() ? 1352 : 1372, 'q'))).verdict), "TO_ENDPOINT") << "1,400 fits";
}

TEST_P(L4Refuse, TooBigOfTcpToo) {
  L4Rig rig;
  Serve(rig, L4_TRANSPARENT);
  EndpointSpec far = Spec(1);
  far.address = far_endpoint();
  rig.SetEndpoint(far);
  const Packet packet = FromClient(kSyn, 40000, std::string(1400, 'x'));
  const Outcome outcome = rig.Run(way(), packet);
  EXPECT_EQ(Name(outcome.verdict), "TOO_BIG");
  ExpectIcmp(outcome, packet, v6() ? 2 : 3, v6() ? 0 : 4, 1400);
}

TEST_P(L4Refuse, NoRouteIsDropped) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  EndpointSpec lost = Spec(1);
  lost.address = v6() ? "2001:db8:dead::1" : "203.0.113.1";
  rig.SetEndpoint(lost);
  ASSERT_EQ(std::system(v6() ? "ip -6 route add unreachable 2001:db8:dead::/48" : "ip route add unreachable 203.0.113.0/24"), 0);
  const Outcome outcome = rig.Run(way(), FromClient(kSyn));
  EXPECT_EQ(Name(outcome.verdict), "NO_ROUTE");
  EXPECT_EQ(outcome.action, kTcShot);
}

L4_INSTANTIATE(L4Refuse);

}  // namespace
}  // namespace ringway::dp
