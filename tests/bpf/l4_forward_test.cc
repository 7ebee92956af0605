// What is sent on: packet in, verdict, packet out, of each mode, both ways; and what is left alone.
#include "tests/bpf/l4_world.h"

namespace ringway::dp {
namespace {

class L4Forward : public L4World {};

TEST_P(L4Forward, NatTakesTheSourceAndAPortOfOurs) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Outcome syn = rig.Run(way(), FromClient(kSyn));
  ExpectSent(syn, "TO_ENDPOINT", vip(), endpoint());
  EXPECT_EQ(syn.reading.packet.dest_port, 8080);
  EXPECT_GE(syn.reading.packet.source_port, 20000);
  EXPECT_LE(syn.reading.packet.source_port, 29999);
  EXPECT_EQ(syn.reading.packet.ttl, 63);
  const Outcome back = rig.Run(way(), Answer(syn.reading.packet, kSyn | kAck));
  ExpectSent(back, "TO_CLIENT", vip(), client());
  EXPECT_EQ(back.reading.packet.source_port, 80);
  EXPECT_EQ(back.reading.packet.dest_port, 40000);
  EXPECT_EQ(back.reading.packet.flags, kSyn | kAck);
}

TEST_P(L4Forward, XdpSetsTheNextHopsAddresses) {
  if (!xdp()) return;  // tc leaves it to bpf_redirect_neigh, which the live tests see
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Outcome syn = rig.Run(way(), FromClient(kSyn));
  EXPECT_EQ(syn.reading.ethernet_dest, "02:00:00:00:00:11");
  EXPECT_EQ(syn.reading.ethernet_source, "02:00:00:00:00:01");
  const Outcome back = rig.Run(way(), Answer(syn.reading.packet, kSyn | kAck));
  EXPECT_EQ(back.reading.ethernet_dest, "02:00:00:00:00:fe") << "the router towards the client";
}

TEST_P(L4Forward, OutByAnotherInterface) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  EndpointSpec far = Spec(1);
  far.address = far_endpoint();
  far.source = v6() ? "fd01::1" : "10.1.0.1";
  rig.SetEndpoint(far);
  const Outcome syn = rig.Run(way(), FromClient(kSyn));
  ExpectSent(syn, "TO_ENDPOINT", far.source, far.address);
  if (xdp()) {
    EXPECT_EQ(syn.action, kXdpRedirect);
  }
  const Outcome back = rig.Run(way(), Build(Answer(syn.reading.packet, kSyn | kAck)), "out0");
  EXPECT_EQ(Name(back.verdict), way() == Way::kXdp ? "TO_CLIENT" : "NOT_OURS") << "tc: the frame is to eth0's address, not out0's";
}

TEST_P(L4Forward, XdpDoesNotRedirectToWhatTakesNoFrames) {
  RigOptions options;
  options.redirect = false;
  L4Rig rig(options);
  Serve(rig, L4_NAT);
  EndpointSpec far = Spec(1);
  far.address = far_endpoint();
  rig.SetEndpoint(far);
  const Outcome syn = rig.Run(way(), FromClient(kSyn));
  EXPECT_EQ(Name(syn.verdict), "TO_ENDPOINT");
  EXPECT_FALSE(syn.by_xdp);
  EXPECT_EQ(syn.action, kTcRedirect);
  EXPECT_EQ(rig.Count(L4_EVENT_FLOW_OPENED), 1u) << "XDP's flow is tc's flow";
}

TEST_P(L4Forward, TransparentKeepsTheClient) {
  L4Rig rig;
  Serve(rig, L4_TRANSPARENT);
  const Outcome syn = rig.Run(way(), FromClient(kSyn));
  ExpectSent(syn, "TO_ENDPOINT", client(), endpoint());
  EXPECT_EQ(syn.reading.packet.source_port, 40000);
  ExpectSent(rig.Run(way(), Answer(syn.reading.packet, kSyn | kAck)), "TO_CLIENT", vip(), client());
}

// An endpoint that is its own service's client would see a packet from itself.
TEST_P(L4Forward, HairpinOfATransparentServiceGetsNat) {
  L4Rig rig;
  Serve(rig, L4_TRANSPARENT);
  Packet packet = FromClient(kSyn);
  packet.source = endpoint();
  const Outcome syn = rig.Run(way(), packet);
  ExpectSent(syn, "TO_ENDPOINT", vip(), endpoint());
  EXPECT_EQ(rig.Count(L4_EVENT_NAT_FALLBACK), 1u);
  ExpectSent(rig.Run(way(), Answer(syn.reading.packet, kSyn | kAck)), "TO_CLIENT", vip(), endpoint());
}

// It would answer such a client itself, past us, from an address that the client has not asked.
TEST_P(L4Forward, ATransparentClientBesideItsEndpointGetsNat) {
  L4Rig rig;
  Serve(rig, L4_TRANSPARENT);
  Packet packet = FromClient(kSyn);
  packet.source = endpoint(2);
  const Outcome syn = rig.Run(way(), packet);
  ExpectSent(syn, "TO_ENDPOINT", vip(), endpoint());
  EXPECT_EQ(rig.Count(L4_EVENT_NAT_FALLBACK), 1u);
  ExpectSent(rig.Run(way(), Answer(syn.reading.packet, kSyn | kAck)), "TO_CLIENT", vip(), endpoint(2));
  packet.source = far_endpoint(2);  // a neighbour as well, but of ours alone
  EXPECT_EQ(rig.Run(way(), packet).reading.packet.source, far_endpoint(2));
  EXPECT_EQ(rig.Count(L4_EVENT_NAT_FALLBACK), 1u);
}

TEST_P(L4Forward, HairpinThroughNat) {
  L4Rig rig;
  Serve(rig, L4_NAT, 0, 2);
  for (uint16_t port = 40000; port < 40020; ++port) {
    Packet packet = FromClient(kSyn, port);
    packet.source = endpoint(1);
    const Outcome syn = rig.Run(way(), packet);
    EXPECT_EQ(syn.reading.packet.source, vip());
    ExpectSent(rig.Run(way(), Answer(syn.reading.packet, kSyn | kAck)), "TO_CLIENT", vip(), endpoint(1));
  }
}

TEST_P(L4Forward, DirectReturnLeavesThePacketAlone) {
  L4Rig rig;
  Serve(rig, L4_DIRECT);
  const Packet packet = FromClient(kSyn);
  const Outcome syn = rig.Run(way(), packet);
  ExpectSent(syn, "TO_ENDPOINT", client(), vip());
  EXPECT_EQ(syn.reading.packet.dest_port, 80);
  EXPECT_EQ(syn.reading.packet.ttl, 64);
  EXPECT_EQ(Inside(syn.frame, 9999), Inside(Build(packet), 9999));
  if (xdp()) {
    EXPECT_EQ(syn.reading.ethernet_dest, "02:00:00:00:00:11");
  }
}

TEST_P(L4Forward, DirectReturnOfAnUnknownFlowIsTheTablesChoice) {
  L4Rig rig;
  Serve(rig, L4_DIRECT, 0, 3);
  const Outcome data = rig.Run(way(), FromClient(kAck, 40000, "middle of a stream"));
  ExpectSent(data, "TO_ENDPOINT_STATELESS", client(), vip());
  rig.SetTable({2});  // known from now on: a change of the table does not move it
  rig.Run(way(), FromClient(kAck, 40000, "more"));
  const L4Rig::Flows flows = rig.Confirmed();
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].second.state, L4_ESTABLISHED);
  rig.ForgetFlows();
}

// Through a router the packet, still to our own address, would come back.
TEST_P(L4Forward, DirectReturnOnlyToALinkOfOurs) {
  L4Rig rig;
  Serve(rig, L4_DIRECT);
  EndpointSpec remote = Spec(1);
  remote.address = v6() ? "2001:db8:1::1" : "198.51.100.1";
  rig.SetEndpoint(remote);
  const Outcome syn = rig.Run(way(), FromClient(kSyn));
  EXPECT_EQ(Name(syn.verdict), "NO_ROUTE");
  EXPECT_EQ(syn.action, kTcShot);
}

TEST_P(L4Forward, UdpBothWays) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Outcome query = rig.Run(way(), Query());
  ExpectSent(query, "TO_ENDPOINT", vip(), endpoint());
  EXPECT_EQ(query.reading.packet.payload, "question");
  const Outcome answer = rig.Run(way(), Answer(query.reading.packet, 0, "an answer"));
  ExpectSent(answer, "TO_CLIENT", vip(), client());
  EXPECT_EQ(answer.reading.packet.source_port, 53);
  EXPECT_EQ(answer.reading.packet.payload, "an answer");
}

TEST_P(L4Forward, UdpWithoutChecksumStaysWithout) {
  if (v6()) return;  // RFC 8200 8.1 has none
  L4Rig rig;
  Serve(rig, L4_NAT);
  Packet query = Query();
  query.sum = false;
  const Outcome outcome = rig.Run(way(), query);
  EXPECT_EQ(Name(outcome.verdict), "TO_ENDPOINT");
  EXPECT_FALSE(outcome.reading.packet.sum);
}

// A checksum that comes out as 0 is written as ffff (RFC 768): found by trying all the payloads of two bytes.
TEST_P(L4Forward, UdpChecksumsOfAllValues) {
  L4Rig rig;
  Serve(rig, L4_TRANSPARENT);
  Frame frame = Build(Query(40000, std::string(2, '\0')));
  rig.Run(way(), frame);
  uint32_t wrong = 0;
  for (uint32_t value = 0; value < 65536; ++value) {
    Packet packet = Query(40000, {static_cast<char>(value >> 8), static_cast<char>(value)});
    frame = Build(packet);
    if (xdp()) rig.RunXdp(frame, rig.IndexOf("eth0"));
    else rig.RunTc(frame, rig.IndexOf("eth0"));
    const Reading reading = Read(frame);
    wrong += !SumsOk(reading) || !reading.packet.sum || reading.packet.dest != endpoint() ? 1 : 0;
  }
  EXPECT_EQ(wrong, 0u);
}

TEST_P(L4Forward, OptionsAndExtensionHeadersStay) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  for (const uint32_t size : {4u, 8u, 16u, 40u}) {
    Packet packet = FromClient(kSyn, static_cast<uint16_t>(41000 + size));
    if (v6()) packet.extension = size < 8 ? 8 : size;
    else packet.options = size;
    const Outcome outcome = rig.Run(way(), packet);
    ExpectSent(outcome, "TO_ENDPOINT", vip(), endpoint());
    EXPECT_EQ(outcome.reading.packet.options, packet.options);
    EXPECT_EQ(outcome.reading.packet.extension, packet.extension);
  }
}

TEST_P(L4Forward, EthernetPaddingIsNoPartOfThePacket) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  Packet packet = FromClient(kSyn);
  packet.padding = 20;
  ExpectSent(rig.Run(way(), packet), "TO_ENDPOINT", vip(), endpoint());
  EXPECT_EQ(rig.ServiceTraffic().to_endpoint.bytes, v6() ? 60u : 40u);
}

TEST_P(L4Forward, PayloadsOfAllSizes) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  Connect(rig);
  for (const size_t size : {1u, 2u, 3u, 63u, 64u, 65u, 536u, 1000u, 1439u, 1440u}) {
    std::string payload(size, '\0');
    for (size_t i = 0; i < size; ++i) payload[i] = static_cast<char>(i * 31 + size);
    const Outcome outcome = rig.Run(way(), FromClient(kAck | kPsh, 40000, payload));
    ExpectSent(outcome, "TO_ENDPOINT", vip(), endpoint());
    EXPECT_EQ(outcome.reading.packet.payload, payload);
  }
}

TEST_P(L4Forward, WhatIsNotOursGoesOnUntouched) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  Packet other_port = FromClient(kSyn);
  other_port.dest_port = 81;
  Packet udp_of_tcp = Query();
  udp_of_tcp.dest_port = 80;
  Packet other_address = FromClient(kSyn);
  other_address.dest = v6() ? "fd00::2" : "10.0.0.2";
  Packet echo = FromClient(0);
  echo.protocol = v6() ? kIcmpV6 : kIcmp;
  echo.icmp_type = v6() ? 128 : 8;
  Packet group = FromClient(0);
  group.protocol = 2;
  Frame arp = Build(FromClient(kSyn));
  arp[12] = 0x08;
  arp[13] = 0x06;
  for (const Frame& frame : {Build(other_port), Build(udp_of_tcp), Build(other_address), Build(echo), Build(group), arp}) {
    const Outcome outcome = rig.Run(way(), frame);
    EXPECT_EQ(Name(outcome.verdict), "NOT_OURS");
    EXPECT_EQ(outcome.action, kTcUnspec);
    EXPECT_EQ(outcome.frame, frame);
  }
  EXPECT_TRUE(rig.HalfOpen().empty());
}

TEST_P(L4Forward, FramesToOthersAreLeftAlone) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  Frame frame = Build(FromClient(kSyn));
  frame[0] = 0x03;  // a group's address
  EXPECT_EQ(Name(rig.Run(way(), frame).verdict), "NOT_OURS");
  EXPECT_TRUE(rig.HalfOpen().empty());
}

TEST_P(L4Forward, TrafficIsCounted) {
  L4Rig rig;
  Serve(rig, L4_NAT);
  const Packet out = Connect(rig);
  rig.Run(way(), FromClient(kAck, 40000, "0123456789"));
  rig.Run(way(), Answer(out, kAck, "01234567890123456789"));
  const uint64_t header = v6() ? 60 : 40;
  for (const l4_traffic& traffic : {rig.ServiceTraffic(), rig.EndpointTraffic(1)}) {
    EXPECT_EQ(traffic.to_endpoint.packets, 3u);
    EXPECT_EQ(traffic.to_endpoint.bytes, 3 * header + 10);
    EXPECT_EQ(traffic.to_client.packets, 2u);
    EXPECT_EQ(traffic.to_client.bytes, 2 * header + 20);
    EXPECT_EQ(traffic.flows_opened, 1u);
    EXPECT_EQ(traffic.refused, 0u);
  }
}

// A container's namespace often has ip_forward off: out by the interface the packet came by.
TEST_P(L4Forward, WorksWithForwardingOff) {
  RigOptions options;
  options.forwarding = false;
  L4Rig rig(options);
  Serve(rig, L4_NAT);
  const Outcome syn = rig.Run(way(), FromClient(kSyn));
  EXPECT_EQ(Name(syn.verdict), "TO_ENDPOINT");
  EXPECT_EQ(syn.action, kTcRedirect);
  EXPECT_TRUE(SumsOk(syn.reading));
}

TEST_P(L4Forward, TheStackForwardsWhereAsked) {
  RigOptions options;
  options.flags |= L4_OPTION_STACK;
  L4Rig rig(options);
  Serve(rig, L4_TRANSPARENT);
  const Outcome syn = rig.Run(Way::kTc, FromClient(kSyn));
  EXPECT_EQ(syn.action, kTcOk);
  EXPECT_EQ(syn.reading.packet.dest, endpoint());
  EXPECT_EQ(syn.reading.packet.ttl, 64) << "the stack is the router";
  EXPECT_TRUE(SumsOk(syn.reading));
}

L4_INSTANTIATE(L4Forward);

}  // namespace
}  // namespace ringway::dp
