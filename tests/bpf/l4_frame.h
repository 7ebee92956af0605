// Ethernet frames for tests of packet delivery: built from a description, and read back with every checksum computed anew, byte by
// byte from the RFCs, without a line of the programs under test.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace ringway::dp {

using Frame = std::vector<uint8_t>;
using Ip = std::array<uint8_t, 16>;  // IPv4 as ::ffff:a.b.c.d

Ip ParseIp(const std::string& text);
std::string ToText(const Ip& ip);
bool IsV4(const Ip& ip);

enum Fragment : uint8_t { kWhole, kFirst, kLater };
inline constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16;
inline constexpr uint8_t kTcp = 6, kUdp = 17, kIcmp = 1, kIcmpV6 = 58;

// A packet as a person would say it.
struct Packet {
  std::string source = "192.0.2.10", dest = "10.0.0.1";
  uint16_t source_port = 40000, dest_port = 80;
  uint8_t protocol = kTcp;
  uint8_t flags = kSyn;  // of TCP
  uint32_t seq = 1000, ack = 0;
  std::string payload;
  uint8_t ttl = 64;
  uint32_t options = 0;    // bytes of IPv4 options, a multiple of 4
  uint32_t extension = 0;  // bytes of an IPv6 destination options header, a multiple of 8
  Fragment fragment = kWhole;
  uint32_t fragment_id = 77;
  bool sum = true;             // UDP: false leaves it 0
  uint8_t icmp_type = 0, icmp_code = 0;
  uint32_t icmp_rest = 0;      // the second word: an MTU
  Frame inside;                // of ICMP errors: the IP packet in it, may be cut off
  uint32_t padding = 0;        // behind the packet, as Ethernet does
};

Frame Build(const Packet& packet);

// What a frame says. `ok` is false when the headers contradict one another or are cut off.
struct Reading {
  bool ok = false;
  Packet packet;
  bool network_sum_ok = false;    // IPv4's header
  bool transport_sum_ok = false;  // of a whole packet; true of later fragments and of protocols without one
  std::string ethernet_dest, ethernet_source;
  uint32_t length = 0;  // of the IP packet
};
Reading Read(const Frame& frame);
bool SumsOk(const Reading& reading);

// The IP packet of a frame, at most `most` bytes of it: what an ICMP error carries.
Frame Inside(const Frame& frame, uint32_t most = 28);

}  // namespace ringway::dp
