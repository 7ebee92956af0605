// Both programs of packet delivery, loaded with the same maps, in a network namespace of the test's own: one interface "eth0"
// (02:00:00:00:00:01) behind which clients are reached through a router and endpoints directly, and "out0" to other endpoints.
// Packets go in by BPF_PROG_TEST_RUN: nothing is sent anywhere.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bpf/lb_abi.h"
#include "tests/bpf/l4_frame.h"

namespace ringway::dp {

// How a packet takes: tc alone, or XDP first and tc with what XDP hands on.
enum class Way { kTc, kXdp };

struct Outcome {
  l4_reason verdict = L4_NOT_OURS;
  bool by_xdp = false;  // it did not reach tc
  int action = 0;       // TC_ACT_* or XDP_*
  Frame frame;
  Reading reading;
};

struct EndpointSpec {
  uint32_t slot = 1;
  std::string address = "10.0.0.11";
  uint16_t port = 8080;
  std::string source = "10.0.0.1";
  uint8_t state = L4_READY;
  uint32_t generation = 1;
};

struct RigOptions {
  uint16_t port_first = 20000, port_last = 29999;
  uint32_t flags = L4_OPTION_SOCKETS;
  uint32_t flows_max = 65536, half_open_max = 65536;
  bool redirect = true;    // eth0 and out0 take frames from XDP
  bool forwarding = true;  // ip_forward of the namespace
  bool network = true;     // false: no namespace is made, Attach is used
};

class L4Rig {
 public:
  explicit L4Rig(const RigOptions& options = {});
  ~L4Rig();

  // Of the service 1. `table`: slots in turn through the whole table.
  void AddVip(const std::string& address, uint16_t port, uint8_t protocol, l4_mode mode, uint8_t flags = 0, uint32_t service = 1);
  void SetEndpoint(const EndpointSpec& endpoint);
  void SetPorts(uint16_t first, uint16_t last);  // of NAT, from now on
  void SetTable(const std::vector<uint32_t>& slots, uint32_t service = 1);

  // A packet through the programs. Fails the test when it was not counted under exactly one verdict by each program that ended it.
  Outcome Run(Way way, const Frame& frame, const std::string& interface = "eth0");
  Outcome Run(Way way, const Packet& packet) { return Run(way, Build(packet)); }
  // To an interface of the namespace that the thread is in, for the rig's life; l4_xdp needs l4_tc beside it.
  void AttachTc(const std::string& interface);
  void AttachXdp(const std::string& interface);
  void AttachXdpPass(const std::string& interface);  // a program that does nothing
  // The bare programs, for fuzzing: the action; `frame` becomes what came out.
  int RunTc(Frame& frame, int ifindex);
  int RunXdp(Frame& frame, int ifindex);
  int IndexOf(const std::string& interface) const;

  uint64_t Count(l4_reason reason) const;
  std::vector<uint64_t> Counts() const;
  l4_traffic ServiceTraffic(uint32_t service = 1) const;
  l4_traffic EndpointTraffic(uint32_t slot) const;
  using Flows = std::vector<std::pair<l4_flow_key, l4_flow>>;
  Flows Confirmed() const;
  Flows HalfOpen() const;
  void PutHalfOpen(const l4_flow_key& key, const l4_flow& flow);
  void PutConfirmed(const l4_flow_key& key, const l4_flow& flow);
  void ForgetFlows();

 private:
  struct Objects;
  int Fd(const char* map) const;
  template <typename Value>
  Value PerCpuSum(const char* map, uint32_t key) const;
  Flows Dump(const char* map) const;
  std::unique_ptr<Objects> objects_;
  std::map<uint32_t, int> inner_;
};

std::string Name(l4_reason reason);

}  // namespace ringway::dp
