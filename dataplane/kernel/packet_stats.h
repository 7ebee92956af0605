// What packet delivery has counted, as plain values: for stats and reports. Made by the delivery's own thread once a second.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ringway::dp {

// Of handshakes: every connection's, but those whose step was repeated.
struct PacketRoundTrip {
  uint64_t samples = 0;
  uint64_t us_sum = 0;
  uint64_t us = 0;  // of the last ones, smoothed; 0: not known
};

// Of a service, or of an endpoint.
struct PacketTraffic {
  uint64_t flows = 0;  // open at the last count
  uint64_t flows_opened = 0;
  uint64_t flows_reset = 0;    // RST seen from either side
  uint64_t flows_dropped = 0;  // the endpoint died or was replaced
  uint64_t refused = 0;        // new flows: no endpoint, no port
  uint64_t packets_to_endpoint = 0;
  uint64_t bytes_to_endpoint = 0;
  uint64_t packets_to_client = 0;
  uint64_t bytes_to_client = 0;
  uint64_t syn_repeated = 0;     // by clients that got no answer in time
  PacketRoundTrip endpoint_rtt;  // SYN to SYN-ACK; none with direct return
  PacketRoundTrip client_rtt;    // SYN-ACK to ACK
};

struct PacketReason {
  std::string name;  // "no_endpoint"
  std::string text;  // "service without a ready endpoint: refused"
  bool event = false;  // counted besides the packet's verdict
  uint64_t packets = 0;
  uint64_t bytes = 0;
};

struct PacketInterfaceStats {
  std::string name;
  std::string how;      // "tcx", "clsact"; with XDP "xdp (driver) and tcx"
  std::string trouble;  // why it is not attached, or not as asked for; else empty
};

struct PacketStats {
  bool wanted = false;   // a listener has packet delivery
  bool active = false;   // the kernel delivers
  std::string trouble;   // why not, or what is not as it should be, in words
  uint64_t snapshot_version = 0;  // what the kernel's tables hold: may be behind the workers' by a moment; 0: nothing yet
  std::vector<PacketInterfaceStats> interfaces;
  std::map<std::string, PacketTraffic> services;                       // by name, both families together
  std::map<uint64_t, PacketTraffic> endpoints;                         // by IdentityHash of EndpointIdentity
  std::map<uint64_t, std::string> endpoint_troubles;  // ready ones that get no packets or are not heard, likewise: why
  std::vector<PacketReason> reasons;
  uint64_t flow_entries = 0;       // of the flow table, at the last count; a connection takes two (one with direct return)
  uint64_t flow_entries_max = 0;
  uint64_t half_open_entries = 0;
  uint64_t half_open_entries_max = 0;
  uint64_t swept = 0;              // flows ended by their time-outs
};

}  // namespace ringway::dp
