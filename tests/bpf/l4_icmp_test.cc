// ICMP errors about packets that were sent on: the receiver sees its own addresses, outside and inside; all sums are right.
#include "tests/bpf/l4_world.h"

namespace ringway::dp {
namespace {

class L4Icmp : public L4World {
 protected:
  uint8_t unreachable() const { return v6() ? 1 : 3; }
  Packet Error(const std::string& from, const std::string& to, uint8_t type, uint8_t code, const Frame& about, uint32_t inside,
               uint32_t rest = 0) const {
    Packet error;
    error.source = from;
    error.dest = to;
    error.protocol = v6() ? kIcmpV6 : kIcmp;
    error.icmp_type = type;
    error.icmp_code = code;
    error.icmp_rest = rest;
    error.inside = Inside(about, inside);
    return error;
  }
  uint32_t header() const { return v6() ? 40 : 20; }
  // The packet inside, read as if it had come by itself. Its transport checksum must be right where all of it is there.
  Reading InsideOf(const Outcome& outcome) const {
    Frame frame(14);
    frame[12] = v6() ? 0x86 : 0x08;
    frame[13] = v6() ? 0xdd : 0x00;
    const Frame& inside = outcome.reading.packet.inside;
    frame.insert(frame.end(), inside.begin(), inside.end());
    return Read(frame);
  }
  void ExpectInside(const Outcome& outcome, const std::string& source, uint16_t source_port, const std::string& dest,
                    uint16_t dest_port) const {
    const Frame& inside = outcome.reading.packet.inside;
    ASSERT_GE(inside.size(), header() + 8);
    const Reading reading = InsideOf(outcome);
    EXPECT_TRUE(reading.network_sum_ok);
    Frame frame(inside.begin() + header(), inside.end());
    EXPECT_EQ(frame[0] << 8 | frame[1], source_port);
    EXPECT_EQ(frame[2] << 8 | frame[3], dest_port);
    const Frame ip(inside.begin(), inside.begin() + header());
    Ip from = ParseIp("0.0.0.0"), to = ParseIp("0.0.0.0");
    std::copy_n(ip.begin() + (v6() ? 8 : 12), v6() ? 16 : 4, from.begin() + (v6() ? 0 : 12));
    std::copy_n(ip.begin() + (v6() ? 24 : 16), v6() ? 16 : 4, to.begin() + (v6() ? 0 : 12));
    EXPECT_EQ(ToText(from), source);
    EXPECT_EQ(ToText(to), dest);
  }
};

TEST_P(L4Icmp, FromTheEndpointsSideToTheClient) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  for (const uint8_t protocol : {kTcp, kUdp}) {
    const Outcome out = rig.Run(way(), protocol == kTcp ? FromClient(kSyn) : Query());
    for (const uint32_t size : {header() + 8, header() + 20, 9999u}) {
      const Outcome error = rig.Run(way(), Error(endpoint(), vip(), unreachable(), 4, out.frame, size, 1300));
      EXPECT_EQ(Name(error.verdict), "ICMP_TO_CLIENT");
      EXPECT_EQ(error.action, kTcRedirect);
      EXPECT_TRUE(SumsOk(error.reading)) << size;
      EXPECT_EQ(error.reading.packet.source, vip()) << "what is behind us stays unseen";
      EXPECT_EQ(error.reading.packet.dest, client());
      EXPECT_EQ(error.reading.packet.icmp_rest, 1300u);
      ExpectInside(error, client(), 40000, vip(), protocol == kTcp ? 80 : 53);
      if (size == 9999) {
        EXPECT_TRUE(InsideOf(error).transport_sum_ok);
      }
    }
  }
}

TEST_P(L4Icmp, FromTheClientsSideToTheEndpoint) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Packet out = rig.Run(way(), FromClient(kSyn)).reading.packet;
  const Outcome back = rig.Run(way(), Answer(out, kSyn | kAck, "large"));
  const std::string router = v6() ? "2001:db8:77::1" : "198.51.100.7";
  const Outcome error = rig.Run(way(), Error(router, vip(), v6() ? 2 : 3, v6() ? 0 : 4, back.frame, 9999, 1280));
  EXPECT_EQ(Name(error.verdict), "ICMP_TO_ENDPOINT");
  EXPECT_TRUE(SumsOk(error.reading));
  EXPECT_EQ(error.reading.packet.source, vip());
  EXPECT_EQ(error.reading.packet.dest, endpoint());
  EXPECT_EQ(error.reading.packet.icmp_rest, 1280u);
  ExpectInside(error, endpoint(), 8080, vip(), out.source_port);
  EXPECT_TRUE(InsideOf(error).transport_sum_ok);
}

// A large answer over UDP: its first fragment is too big for a link of the client's.
TEST_P(L4Icmp, AboutAFragmentToTheEndpoint) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Packet out = rig.Run(way(), Query()).reading.packet;
  Packet first = Answer(out, 0, std::string(1200, 'x')), later = first;
  first.fragment = kFirst;
  later.fragment = kLater;
  const Outcome back = rig.Run(Way::kTc, first);
  ASSERT_EQ(Name(back.verdict), "TO_CLIENT");
  const std::string router = v6() ? "2001:db8:77::1" : "198.51.100.7";
  const Outcome error = rig.Run(Way::kTc, Error(router, vip(), v6() ? 2 : 3, v6() ? 0 : 4, back.frame, 1200, 1280));
  EXPECT_EQ(Name(error.verdict), "ICMP_TO_ENDPOINT");
  EXPECT_TRUE(SumsOk(error.reading));
  EXPECT_EQ(error.reading.packet.dest, endpoint());
  const Packet inside = InsideOf(error).packet;
  EXPECT_EQ(inside.source, endpoint());
  EXPECT_EQ(inside.source_port, first.source_port);
  EXPECT_EQ(inside.dest, vip());
  EXPECT_EQ(inside.dest_port, out.source_port);
  const Outcome rest = rig.Run(Way::kTc, later);
  EXPECT_EQ(Name(rig.Run(Way::kTc, Error(router, vip(), v6() ? 2 : 3, v6() ? 0 : 4, rest.frame, 1200, 1280)).verdict), "NOT_OURS");
}

TEST_P(L4Icmp, TransparentKeepsWhoSaysIt) {
  L4Rig rig;
  Serve(rig, L4_TRANSPARENT);
  const Packet out = rig.Run(way(), FromClient(kSyn)).reading.packet;
  const Outcome back = rig.Run(way(), Answer(out, kSyn | kAck));
  const std::string router = v6() ? "2001:db8:77::1" : "198.51.100.7";
  const Outcome error = rig.Run(way(), Error(router, vip(), v6() ? 3 : 11, 0, back.frame, header() + 8));
  EXPECT_EQ(Name(error.verdict), "ICMP_TO_ENDPOINT");
  EXPECT_TRUE(SumsOk(error.reading));
  EXPECT_EQ(error.reading.packet.source, router);
  EXPECT_EQ(error.reading.packet.dest, endpoint());
  ExpectInside(error, endpoint(), 8080, client(), 40000);
}

// The endpoint answered past us: what is inside was never here, but its addresses say whose it is.
TEST_P(L4Icmp, DirectReturnGoesToTheFlowsEndpoint) {
  for (const bool known : {true, false}) {
    L4Rig rig;
    Serve(rig, L4_DIRECT);
    if (known) rig.Run(way(), FromClient(kSyn));
    Packet answer = FromClient(kAck, 40000, "large");
    std::swap(answer.source, answer.dest);
    std::swap(answer.source_port, answer.dest_port);
    const Packet about = Error(v6() ? "2001:db8:77::1" : "198.51.100.7", vip(), v6() ? 2 : 3, v6() ? 0 : 4, Build(answer), 9999, 1280);
    const Outcome error = rig.Run(way(), about);
    EXPECT_EQ(Name(error.verdict), "ICMP_TO_ENDPOINT");
    EXPECT_EQ(error.action, kTcRedirect);
    EXPECT_EQ(Inside(error.frame, 9999), Inside(Build(about), 9999));
  }
}

TEST_P(L4Icmp, OddPayloadsAndUdpWithoutChecksum) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  Packet query = Query(40000, "odd");
  query.sum = v6();
  const Outcome out = rig.Run(way(), query);
  const Outcome error = rig.Run(way(), Error(endpoint(), vip(), unreachable(), v6() ? 4 : 3, out.frame, 9999));
  EXPECT_EQ(Name(error.verdict), "ICMP_TO_CLIENT");
  EXPECT_TRUE(SumsOk(error.reading));
  ExpectInside(error, client(), 40000, vip(), 53);
  EXPECT_EQ(InsideOf(error).packet.sum, v6());
}

TEST_P(L4Icmp, ErrorsAboutOthersAreLeftToTheStack) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Outcome out = rig.Run(way(), FromClient(kSyn));
  Packet foreign = FromClient(kSyn);
  foreign.source = vip();
  foreign.dest = endpoint(2);
  const Packet cut = Error(endpoint(), vip(), unreachable(), 1, out.frame, header() + 7);
  const Packet not_to_its_sender = Error(endpoint(), v6() ? "fd00::2" : "10.0.0.2", unreachable(), 1, out.frame, 64);
  const Packet unknown = Error(endpoint(), vip(), unreachable(), 1, Build(foreign), 64);
  Packet redirect = Error(endpoint(), vip(), v6() ? 137 : 5, 1, out.frame, 64);
  for (const Packet& packet : {cut, not_to_its_sender, unknown, redirect}) {
    const Frame frame = Build(packet);
    const Outcome outcome = rig.Run(way(), frame);
    EXPECT_TRUE(outcome.verdict == L4_NOT_OURS || outcome.verdict == L4_MALFORMED) << Name(outcome.verdict);
    EXPECT_EQ(outcome.action, kTcUnspec);
    EXPECT_EQ(outcome.frame, frame);
  }
}

L4_INSTANTIATE(L4Icmp);

}  // namespace
}  // namespace ringway::dp
