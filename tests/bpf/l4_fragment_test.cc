// Fragments: the first has the ports, the rest follow it by addresses and identification.
#include "tests/bpf/l4_world.h"

namespace ringway::dp {
namespace {

class L4Fragment : public L4World {
 protected:
  Packet Part(Fragment fragment, uint32_t id = 77) const {
    std::string payload(200, '\0');
    for (size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(i * 7);
    Packet packet = Query(40000, payload);
    packet.fragment = fragment;
    packet.fragment_id = id;
    return packet;
  }
  // The transport bytes behind the network headers, of either family.
  static std::string Payload(const Outcome& outcome, uint32_t header) {
    return std::string(outcome.frame.begin() + 14 + header, outcome.frame.end());
  }
  uint32_t headers() const { return v6() ? 48 : 20; }
};

// Put together, the two are the whole datagram with a right checksum.
TEST_P(L4Fragment, BothPartsGoToTheSameEndpoint) {
  for (const l4_mode mode : {L4_NAT, L4_TRANSPARENT}) {
    L4Rig rig;
    Serve(rig, mode);
    const Outcome first = rig.Run(way(), Part(kFirst)), later = rig.Run(way(), Part(kLater));
    EXPECT_EQ(Name(first.verdict), "TO_ENDPOINT");
    EXPECT_EQ(Name(later.verdict), "FRAGMENT");
    EXPECT_EQ(later.action, kTcRedirect);
    EXPECT_EQ(first.reading.packet.dest, endpoint());
    EXPECT_EQ(later.reading.packet.dest, endpoint());
    EXPECT_EQ(later.reading.packet.source, first.reading.packet.source);
    EXPECT_TRUE(first.reading.network_sum_ok);
    EXPECT_TRUE(later.reading.network_sum_ok);
    EXPECT_EQ(later.reading.packet.ttl, 63);
    Packet whole = Part(kWhole);
    whole.source = first.reading.packet.source;
    whole.dest = endpoint();
    whole.source_port = first.reading.packet.source_port;
    whole.dest_port = 8080;
    const Frame expected = Build(whole);
    const uint32_t header = v6() ? 40 : 20;
    EXPECT_EQ(Payload(first, headers()) + Payload(later, headers()), std::string(expected.begin() + 14 + header, expected.end()));
  }
}

TEST_P(L4Fragment, AnswersInPartsGoBack) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Packet out = rig.Run(way(), Query()).reading.packet;
  for (const Fragment fragment : {kFirst, kLater}) {
    Packet answer = Answer(out, 0, std::string(300, 'a'));
    answer.fragment = fragment;
    const Outcome outcome = rig.Run(way(), answer);
    EXPECT_EQ(Name(outcome.verdict), fragment == kFirst ? "TO_CLIENT" : "FRAGMENT");
    EXPECT_EQ(outcome.reading.packet.source, vip());
    EXPECT_EQ(outcome.reading.packet.dest, client());
  }
}

TEST_P(L4Fragment, DirectReturnSendsThemAsTheyAre) {
  L4Rig rig;
  Serve(rig, L4_DIRECT);
  for (const Fragment fragment : {kFirst, kLater}) {
    const Frame frame = Build(Part(fragment));
    const Outcome outcome = rig.Run(way(), frame);
    EXPECT_EQ(Name(outcome.verdict), fragment == kFirst ? "TO_ENDPOINT" : "FRAGMENT");
    EXPECT_EQ(outcome.action, kTcRedirect);
    EXPECT_EQ(outcome.frame, frame);
  }
}

TEST_P(L4Fragment, WithoutItsFirstItIsLeftToTheStack) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  rig.Run(way(), Part(kFirst, 1));
  const Frame frame = Build(Part(kLater, 2));
  const Outcome outcome = rig.Run(way(), frame);
  EXPECT_EQ(Name(outcome.verdict), "FRAGMENT_UNKNOWN");
  EXPECT_EQ(outcome.action, kTcUnspec);
  EXPECT_EQ(outcome.frame, frame);
}

TEST_P(L4Fragment, AFirstOneThatHidesItsPortsIsLeftToTheStack) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  Packet tiny = FromClient(kSyn);
  tiny.fragment = kFirst;
  Frame frame = Build(tiny);  // 8 of the 20 bytes of TCP's header
  frame.resize(frame.size() - 12);
  frame[14 + (v6() ? 5 : 3)] = static_cast<uint8_t>(frame.size() - 14 - (v6() ? 40 : 0));
  const Outcome outcome = rig.Run(way(), frame);
  EXPECT_EQ(Name(outcome.verdict), "FRAGMENT_TINY");
  EXPECT_EQ(outcome.action, kTcUnspec);
}

L4_INSTANTIATE(L4Fragment);

}  // namespace
}  // namespace ringway::dp
