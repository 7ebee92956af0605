// The tests of packet delivery run each case four times: by tc, by XDP with tc behind it; IPv4, IPv6.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "tests/bpf/l4_rig.h"

namespace ringway::dp {

inline constexpr int kTcOk = 0, kTcShot = 2, kTcRedirect = 7, kTcUnspec = -1;
inline constexpr int kXdpDrop = 1, kXdpTx = 3, kXdpRedirect = 4;

class L4World : public testing::TestWithParam<std::tuple<Way, bool>> {
 protected:
  Way way() const { return std::get<0>(GetParam()); }
  bool v6() const { return std::get<1>(GetParam()); }
  bool xdp() const { return way() == Way::kXdp; }
  std::string vip() const { return v6() ? "fd00::1" : "10.0.0.1"; }
  std::string client(int n = 10) const { return v6() ? "2001:db8::" + std::to_string(n) : "192.0.2." + std::to_string(n); }
  std::string endpoint(int n = 1) const { return v6() ? "fd00::1" + std::to_string(n) : "10.0.0.1" + std::to_string(n); }
  std::string far_endpoint(int n = 1) const { return v6() ? "fd01::1" + std::to_string(n) : "10.1.0.1" + std::to_string(n); }

  EndpointSpec Spec(uint32_t slot) const {
    EndpointSpec spec;
    spec.slot = slot;
    spec.address = endpoint(static_cast<int>(slot));
    spec.source = vip();
    return spec;
  }
  // A service on the vip, TCP port 80 and UDP port 53, with `endpoints` endpoints.
  void Serve(L4Rig& rig, l4_mode mode, uint8_t flags = 0, uint32_t endpoints = 1) const {
    std::vector<uint32_t> slots;
    for (uint32_t slot = 1; slot <= endpoints; ++slot) {
      rig.SetEndpoint(Spec(slot));
      slots.push_back(slot);
    }
    rig.SetTable(slots);
    rig.AddVip(vip(), 80, kTcp, mode, flags);
    rig.AddVip(vip(), 53, kUdp, mode, flags);
  }
  Packet FromClient(uint8_t flags, uint16_t port = 40000, const std::string& payload = "") const {
    Packet packet;
    packet.source = client();
    packet.dest = vip();
    packet.source_port = port;
    packet.flags = flags;
    packet.payload = payload;
    return packet;
  }
  Packet Query(uint16_t port = 40000, const std::string& payload = "question") const {
    Packet packet = FromClient(0, port, payload);
    packet.protocol = kUdp;
    packet.dest_port = 53;
    return packet;
  }
  // An answer to what came out towards the endpoint.
  static Packet Answer(const Packet& in, uint8_t flags, const std::string& payload = "") {
    Packet packet;
    packet.source = in.dest;
    packet.dest = in.source;
    packet.source_port = in.dest_port;
    packet.dest_port = in.source_port;
    packet.protocol = in.protocol;
    packet.flags = flags;
    packet.payload = payload;
    return packet;
  }
  // SYN, SYN-ACK, ACK. What the client's packets look like to the endpoint.
  Packet Connect(L4Rig& rig, uint16_t port = 40000) const {
    const Outcome syn = rig.Run(way(), FromClient(kSyn, port));
    EXPECT_EQ(Name(syn.verdict), "TO_ENDPOINT");
    const Outcome answer = rig.Run(way(), Answer(syn.reading.packet, kSyn | kAck));
    EXPECT_EQ(Name(answer.verdict), "TO_CLIENT");
    EXPECT_EQ(Name(rig.Run(way(), FromClient(kAck, port)).verdict), "TO_ENDPOINT");
    return syn.reading.packet;
  }
  // Sent on by the program it should have been, with right checksums.
  void ExpectSent(const Outcome& outcome, const std::string& verdict, const std::string& source, const std::string& dest) const {
    EXPECT_EQ(Name(outcome.verdict), verdict);
    EXPECT_EQ(outcome.by_xdp, xdp());
    EXPECT_TRUE(xdp() ? outcome.action == kXdpTx || outcome.action == kXdpRedirect : outcome.action == kTcRedirect) << outcome.action;
    EXPECT_TRUE(SumsOk(outcome.reading));
    EXPECT_EQ(outcome.reading.packet.source, source);
    EXPECT_EQ(outcome.reading.packet.dest, dest);
  }
};

inline std::string WorldName(const testing::TestParamInfo<std::tuple<Way, bool>>& info) {
  return std::string(std::get<0>(info.param) == Way::kTc ? "Tc" : "Xdp") + (std::get<1>(info.param) ? "V6" : "V4");
}

#define L4_INSTANTIATE(suite) \
  INSTANTIATE_TEST_SUITE_P(Both, suite, testing::Combine(testing::Values(Way::kTc, Way::kXdp), testing::Bool()), WorldName)

}  // namespace ringway::dp
