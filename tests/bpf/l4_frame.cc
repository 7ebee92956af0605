#include "tests/bpf/l4_frame.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace ringway::dp {
namespace {

constexpr uint32_t kEthernet = 14;

void Put16(Frame& out, uint32_t value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}
void Put32(Frame& out, uint32_t value) {
  Put16(out, value >> 16);
  Put16(out, value & 0xffff);
}
void Set16(Frame& out, size_t at, uint32_t value) {
  out[at] = static_cast<uint8_t>(value >> 8);
  out[at + 1] = static_cast<uint8_t>(value);
}
uint32_t Get16(const Frame& in, size_t at) { return static_cast<uint32_t>(in[at]) << 8 | in[at + 1]; }
uint32_t Get32(const Frame& in, size_t at) { return Get16(in, at) << 16 | Get16(in, at + 2); }

// RFC 1071, the plain way.
uint16_t Sum(const uint8_t* data, size_t size, uint32_t start = 0) {
  uint64_t sum = start;
  for (size_t i = 0; i < size; i += 2) sum += static_cast<uint32_t>(data[i]) << 8 | (i + 1 < size ? data[i + 1] : 0);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

uint32_t PseudoSum(const Ip& source, const Ip& dest, uint8_t protocol, size_t length) {
  const size_t from = IsV4(source) ? 12 : 0;
  uint32_t sum = static_cast<uint32_t>(protocol) + static_cast<uint32_t>(length);
  sum += Sum(source.data() + from, 16 - from);
  return sum + Sum(dest.data() + from, 16 - from);
}

Frame Transport(const Packet& packet) {
  Frame out;
  if (packet.protocol == kIcmp || packet.protocol == kIcmpV6) {
    out = {packet.icmp_type, packet.icmp_code, 0, 0};
    Put32(out, packet.icmp_rest);
    out.insert(out.end(), packet.inside.begin(), packet.inside.end());
  } else {
    Put16(out, packet.source_port);
    Put16(out, packet.dest_port);
    if (packet.protocol == kTcp) {
      Put32(out, packet.seq);
      Put32(out, packet.ack);
      Put16(out, 0x5000u | packet.flags);
      Put16(out, 65535);
      Put32(out, 0);
    } else {
      Put16(out, static_cast<uint32_t>(8 + packet.payload.size()));
      Put16(out, 0);
    }
  }
  out.insert(out.end(), packet.payload.begin(), packet.payload.end());
  return out;
}

size_t SumAt(uint8_t protocol) { return protocol == kTcp ? 16 : protocol == kUdp ? 6 : 2; }

void SetTransportSum(Frame& transport, const Packet& packet, const Ip& source, const Ip& dest) {
  if (packet.protocol == kUdp && !packet.sum) return;
  const uint32_t start = packet.protocol == kIcmp ? 0 : PseudoSum(source, dest, packet.protocol, transport.size());
  uint16_t sum = static_cast<uint16_t>(~Sum(transport.data(), transport.size(), start));
  if (packet.protocol == kUdp && sum == 0) sum = 0xffff;
  Set16(transport, SumAt(packet.protocol), sum);
}

// Of a fragmented datagram, the first 64 bytes or the rest: both are of one that has its checksum over all of it.
Frame Part(const Frame& transport, Fragment fragment) {
  constexpr size_t kCut = 64;
  if (fragment == kWhole || transport.size() < kCut) return transport;
  if (fragment == kFirst) return Frame(transport.begin(), transport.begin() + kCut);
  return Frame(transport.begin() + kCut, transport.end());
}

void PutV4(Frame& out, const Packet& packet, const Ip& source, const Ip& dest, size_t payload) {
  const size_t header = 20 + packet.options;
  out.push_back(static_cast<uint8_t>(0x40 | header / 4));
  out.push_back(0);
  Put16(out, static_cast<uint32_t>(header + payload));
  Put16(out, packet.fragment_id);
  Put16(out, packet.fragment == kFirst ? 0x2000 : packet.fragment == kLater ? 64 / 8 : 0x4000);
  out.push_back(packet.ttl);
  out.push_back(packet.protocol);
  Put16(out, 0);
  out.insert(out.end(), source.begin() + 12, source.end());
  out.insert(out.end(), dest.begin() + 12, dest.end());
  out.insert(out.end(), packet.options, 1);  // no-operations
  Set16(out, kEthernet + 10, static_cast<uint16_t>(~Sum(out.data() + kEthernet, header)));
}

void PutV6(Frame& out, const Packet& packet, const Ip& source, const Ip& dest, size_t payload) {
  const bool cut = packet.fragment != kWhole;
  const uint8_t inner = cut ? 44 : packet.protocol;
  Put32(out, 0x60000000);
  Put16(out, static_cast<uint32_t>(payload + packet.extension + (cut ? 8 : 0)));
  out.push_back(packet.extension ? 60 : inner);
  out.push_back(packet.ttl);
  out.insert(out.end(), source.begin(), source.end());
  out.insert(out.end(), dest.begin(), dest.end());
  if (packet.extension) {
    out.push_back(inner);
    out.push_back(static_cast<uint8_t>(packet.extension / 8 - 1));
    out.push_back(1);  // PadN
    out.push_back(static_cast<uint8_t>(packet.extension - 4));
    out.insert(out.end(), packet.extension - 4, 0);
  }
  if (!cut) return;
  out.push_back(packet.protocol);
  out.push_back(0);
  Put16(out, packet.fragment == kFirst ? 1 : 64);
  Put32(out, packet.fragment_id);
}

std::string Mac(const uint8_t* bytes) {
  char text[18];
  std::snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]);
  return text;
}

// Network headers: where the transport begins, 0 when they are wrong.
size_t ReadV4(const Frame& frame, Reading& reading, Ip& source, Ip& dest) {
  if (frame.size() < kEthernet + 20 || frame[kEthernet] >> 4 != 4) return 0;
  const size_t header = (frame[kEthernet] & 15u) * 4;
  reading.length = Get16(frame, kEthernet + 2);
  if (header < 20 || kEthernet + header > frame.size()) return 0;
  reading.network_sum_ok = Sum(frame.data() + kEthernet, header) == 0xffff;
  if (reading.length < header || kEthernet + reading.length > frame.size()) return 0;
  reading.packet.options = static_cast<uint32_t>(header - 20);
  reading.packet.fragment_id = Get16(frame, kEthernet + 4);
  const uint32_t cut = Get16(frame, kEthernet + 6);
  reading.packet.fragment = cut & 0x1fff ? kLater : cut & 0x2000 ? kFirst : kWhole;
  reading.packet.ttl = frame[kEthernet + 8];
  reading.packet.protocol = frame[kEthernet + 9];
  source = dest = ParseIp("0.0.0.0");
  std::copy_n(frame.begin() + kEthernet + 12, 4, source.begin() + 12);
  std::copy_n(frame.begin() + kEthernet + 16, 4, dest.begin() + 12);
  return kEthernet + header;
}

size_t ReadV6(const Frame& frame, Reading& reading, Ip& source, Ip& dest) {
  if (frame.size() < kEthernet + 40 || frame[kEthernet] >> 4 != 6) return 0;
  reading.length = 40 + Get16(frame, kEthernet + 4);
  reading.network_sum_ok = true;
  if (kEthernet + reading.length > frame.size()) return 0;
  reading.packet.ttl = frame[kEthernet + 7];
  std::copy_n(frame.begin() + kEthernet + 8, 16, source.begin());
  std::copy_n(frame.begin() + kEthernet + 24, 16, dest.begin());
  uint8_t next = frame[kEthernet + 6];
  size_t at = kEthernet + 40;
  while (at + 8 <= kEthernet + reading.length && (next == 60 || next == 0 || next == 44)) {
    const uint8_t here = next;
    next = frame[at];
    if (here == 44) {
      const uint32_t cut = Get16(frame, at + 2);
      reading.packet.fragment = cut & 0xfff8 ? kLater : cut & 1 ? kFirst : kWhole;
      reading.packet.fragment_id = Get32(frame, at + 4);
      at += 8;
    } else {
      reading.packet.extension += (frame[at + 1] + 1u) * 8;
      at += (frame[at + 1] + 1u) * 8;
    }
  }
  reading.packet.protocol = next;
  return at;
}

void ReadTransport(const Frame& frame, size_t at, size_t end, Reading& reading, const Ip& source, const Ip& dest) {
  Packet& packet = reading.packet;
  const size_t size = end - at;
  const bool tcp = packet.protocol == kTcp, udp = packet.protocol == kUdp, icmp = packet.protocol == kIcmp || packet.protocol == kIcmpV6;
  if (!tcp && !udp && !icmp) return;
  if (size < (tcp ? 20u : 8u)) {
    reading.ok = false;
    return;
  }
  size_t header = 8;
  if (tcp) {
    packet.seq = Get32(frame, at + 4);
    packet.ack = Get32(frame, at + 8);
    packet.flags = frame[at + 13];
    header = (frame[at + 12] >> 4) * 4u;
  }
  if (header < (tcp ? 20u : 8u) || header > size) {
    reading.ok = false;
    return;
  }
  if (icmp) {
    packet.icmp_type = frame[at];
    packet.icmp_code = frame[at + 1];
    packet.icmp_rest = Get32(frame, at + 4);
    packet.inside.assign(frame.begin() + static_cast<long>(at + 8), frame.begin() + static_cast<long>(end));
  } else {
    packet.source_port = static_cast<uint16_t>(Get16(frame, at));
    packet.dest_port = static_cast<uint16_t>(Get16(frame, at + 2));
    packet.payload.assign(frame.begin() + static_cast<long>(at + header), frame.begin() + static_cast<long>(end));
  }
  packet.sum = !udp || Get16(frame, at + 6) != 0;
  if (packet.fragment == kFirst || !packet.sum) return;  // its sum covers what is not here
  const uint32_t start = packet.protocol == kIcmp ? 0 : PseudoSum(source, dest, packet.protocol, size);
  reading.transport_sum_ok = Sum(frame.data() + at, size, start) == 0xffff;
}

}  // namespace

Ip ParseIp(const std::string& text) {
  Ip ip{};
  if (text.find(':') != std::string::npos) {
    inet_pton(AF_INET6, text.c_str(), ip.data());
    return ip;
  }
  ip[10] = ip[11] = 0xff;
  inet_pton(AF_INET, text.c_str(), ip.data() + 12);
  return ip;
}

bool IsV4(const Ip& ip) {
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(ip.data(), kMapped, sizeof(kMapped)) == 0;
}

std::string ToText(const Ip& ip) {
  char text[INET6_ADDRSTRLEN];
  const bool v4 = IsV4(ip);
  inet_ntop(v4 ? AF_INET : AF_INET6, ip.data() + (v4 ? 12 : 0), text, sizeof(text));
  return text;
}

Frame Build(const Packet& packet) {
  const Ip source = ParseIp(packet.source), dest = ParseIp(packet.dest);
  Frame transport = Transport(packet);
  SetTransportSum(transport, packet, source, dest);
  transport = Part(transport, packet.fragment);
  Frame out = {0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0x99};
  Put16(out, IsV4(dest) ? 0x0800 : 0x86dd);
  if (IsV4(dest)) PutV4(out, packet, source, dest, transport.size());
  else PutV6(out, packet, source, dest, transport.size());
  out.insert(out.end(), transport.begin(), transport.end());
  out.insert(out.end(), packet.padding, 0);
  return out;
}

Reading Read(const Frame& frame) {
  Reading reading;
  if (frame.size() < kEthernet) return reading;
  reading.ethernet_dest = Mac(frame.data());
  reading.ethernet_source = Mac(frame.data() + 6);
  const uint32_t type = Get16(frame, 12);
  Ip source{}, dest{};
  const size_t at = type == 0x0800 ? ReadV4(frame, reading, source, dest) : type == 0x86dd ? ReadV6(frame, reading, source, dest) : 0;
  const size_t end = kEthernet + reading.length;
  if (at == 0 || at > end) return reading;
  reading.ok = true;
  reading.packet.source = ToText(source);
  reading.packet.dest = ToText(dest);
  reading.packet.padding = static_cast<uint32_t>(frame.size() - end);
  reading.transport_sum_ok = true;
  if (reading.packet.fragment != kLater) ReadTransport(frame, at, end, reading, source, dest);
  return reading;
}

bool SumsOk(const Reading& reading) { return reading.ok && reading.network_sum_ok && reading.transport_sum_ok; }

Frame Inside(const Frame& frame, uint32_t most) {
  const size_t end = std::min<size_t>(frame.size(), kEthernet + most);
  return Frame(frame.begin() + kEthernet, frame.begin() + static_cast<long>(end));
}

}  // namespace ringway::dp
