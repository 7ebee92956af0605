#include "tests/bpf/l4_rig.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <l4_tc.skel.h>
#include <l4_xdp.skel.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace ringway::dp {
namespace {

constexpr int kRedirect = 7, kXdpPass = 2;  // TC_ACT_REDIRECT, XDP_PASS

void Must(bool done, const std::string& what) {
  if (done) return;
  std::perror(what.c_str());
  std::abort();
}

// Neighbours are fixed, so that XDP finds them: the router 10.0.0.254, endpoints .11 to .19.
void MakeNetwork(bool forwarding) {
  static const std::string script = R"(set -e
    ip link set lo up
    ip link add eth0 address 02:00:00:00:00:01 type veth peer name peer0 address 02:00:00:00:00:99
    ip link add out0 address 02:00:00:00:00:02 type veth peer name peer1
    sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.out0.accept_dad=0
    ip link set eth0 mtu 1500 up; ip link set peer0 up; ip link set out0 mtu 1400 up; ip link set peer1 up
    ip address add 10.0.0.1/24 dev eth0
    ip address add fd00::1/64 dev eth0 nodad
    ip address add 10.1.0.1/24 dev out0
    ip address add fd01::1/64 dev out0 nodad
    ip route add default via 10.0.0.254
    ip route add default via fd00::fe dev eth0
    neighbour() { ip neigh replace "$1" lladdr "$2" dev "$3" nud permanent; }
    neighbour 10.0.0.254 02:00:00:00:00:fe eth0; neighbour fd00::fe 02:00:00:00:00:fe eth0
    for i in 1 2 3 4; do
      neighbour 10.0.0.1$i 02:00:00:00:00:1$i eth0; neighbour fd00::1$i 02:00:00:00:00:1$i eth0
      neighbour 10.1.0.1$i 02:00:00:00:01:1$i out0; neighbour fd01::1$i 02:00:00:00:01:1$i out0
    done)";
  Must(unshare(CLONE_NEWNET) == 0, "unshare");
  Must(std::system(script.c_str()) == 0, "the test's network");
  const std::string sysctl = std::string("sysctl -qw net.ipv4.ip_forward=") + (forwarding ? "1" : "0") +
                             " net.ipv6.conf.all.forwarding=" + (forwarding ? "1" : "0");
  Must(std::system(sysctl.c_str()) == 0, "sysctl");
}

void Copy(__u32 (&out)[4], const std::string& address) {
  const Ip ip = ParseIp(address);
  std::memcpy(out, ip.data(), sizeof(out));
}

}  // namespace

struct L4Rig::Objects {
  l4_tc_bpf* tc = nullptr;
  l4_xdp_bpf* xdp = nullptr;
  std::vector<int> links;
};

L4Rig::L4Rig(const RigOptions& options) : objects_(std::make_unique<Objects>()) {
  if (options.network) MakeNetwork(options.forwarding);
  objects_->tc = l4_tc_bpf::open();
  objects_->xdp = l4_xdp_bpf::open();
  Must(objects_->tc != nullptr && objects_->xdp != nullptr, "open");
  const l4_options values{options.flags, 0, 0};
  objects_->tc->rodata->options = values;
  objects_->xdp->rodata->options = values;
  SetPorts(options.port_first, options.port_last);
  bpf_map__set_max_entries(objects_->tc->maps.l4_flows, options.flows_max);
  bpf_map__set_max_entries(objects_->tc->maps.l4_half_open, options.half_open_max);
  Must(l4_tc_bpf::load(objects_->tc) == 0, "load l4_tc");
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, objects_->xdp->obj) {
    const std::string name = bpf_map__name(map);
    if (name.find('.') == std::string::npos && name != "xdp_ports") Must(bpf_map__reuse_fd(map, Fd(name.c_str())) == 0, "reuse " + name);
  }
  Must(l4_xdp_bpf::load(objects_->xdp) == 0, "load l4_xdp");
  for (const char* interface : {"eth0", "out0"}) {
    const uint32_t out = if_nametoindex(interface);
    if (options.redirect && out != 0) Must(bpf_map_update_elem(bpf_map__fd(objects_->xdp->maps.xdp_ports), &out, &out, BPF_ANY) == 0, "xdp_ports");
  }
}

void L4Rig::SetPorts(uint16_t first, uint16_t last) {
  objects_->tc->data->l4_ports = L4_PORTS(first, last);
  objects_->xdp->data->l4_ports = L4_PORTS(first, last);
}

L4Rig::~L4Rig() {
  for (const int link : objects_->links) close(link);
  for (const auto& [service, fd] : inner_) close(fd);
  l4_xdp_bpf::destroy(objects_->xdp);
  l4_tc_bpf::destroy(objects_->tc);
}

int L4Rig::Fd(const char* map) const { return bpf_map__fd(bpf_object__find_map_by_name(objects_->tc->obj, map)); }

void L4Rig::AddVip(const std::string& address, uint16_t port, uint8_t protocol, l4_mode mode, uint8_t flags, uint32_t service) {
  l4_vip_key key{};
  Copy(key.ip, address);
  key.port = htons(port);
  key.protocol = protocol;
  const l4_vip vip{service, static_cast<__u8>(mode), flags, 0};
  Must(bpf_map_update_elem(Fd("l4_vips"), &key, &vip, BPF_ANY) == 0, "l4_vips");
}

void L4Rig::SetEndpoint(const EndpointSpec& spec) {
  l4_endpoint record{};
  Copy(record.ip, spec.address);
  Copy(record.source, spec.source);
  record.port = htons(spec.port);
  record.state = spec.state;
  record.generation = spec.generation;
  record.service = 1;
  Must(bpf_map_update_elem(Fd("l4_endpoints"), &spec.slot, &record, BPF_ANY) == 0, "l4_endpoints");
}

void L4Rig::SetTable(const std::vector<uint32_t>& slots, uint32_t service) {
  auto table = std::make_unique<l4_table>();
  for (uint32_t i = 0; i < L4_TABLE_SIZE; ++i) table->endpoint[i] = slots.empty() ? 0 : slots[i % slots.size()];
  const int inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "l4_table", sizeof(uint32_t), sizeof(l4_table), 1, nullptr);
  const uint32_t zero = 0;
  Must(inner >= 0 && bpf_map_update_elem(inner, &zero, table.get(), BPF_ANY) == 0, "inner table");
  Must(bpf_map_update_elem(Fd("l4_tables"), &service, &inner, BPF_ANY) == 0, "l4_tables");
  if (const auto old = inner_.find(service); old != inner_.end()) close(old->second);
  inner_[service] = inner;
}

// Before 6.6 there is no tcx: a filter at clsact, which goes with the interface.
void L4Rig::AttachTc(const std::string& interface) {
  const int program = bpf_program__fd(objects_->tc->progs.l4_tc);
  const int link = bpf_link_create(program, IndexOf(interface), BPF_TCX_INGRESS, nullptr);
  if (link >= 0) return objects_->links.push_back(link);
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = IndexOf(interface);
  hook.attach_point = BPF_TC_INGRESS;
  bpf_tc_opts filter{};
  filter.sz = sizeof(filter);
  filter.prog_fd = program;
  Must(bpf_tc_hook_create(&hook) == 0 && bpf_tc_attach(&hook, &filter) == 0, "attach l4_tc");
}

void L4Rig::AttachXdp(const std::string& interface) {
  objects_->links.push_back(bpf_link_create(bpf_program__fd(objects_->xdp->progs.l4_xdp), IndexOf(interface), BPF_XDP, nullptr));
  Must(objects_->links.back() >= 0, "attach l4_xdp");
}

void L4Rig::AttachXdpPass(const std::string& interface) {
  const bpf_insn pass[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, kXdpPass}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  const int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, 2, nullptr);
  Must(program >= 0, "load pass");
  objects_->links.push_back(bpf_link_create(program, IndexOf(interface), BPF_XDP, nullptr));
  Must(objects_->links.back() >= 0, "attach pass");
  close(program);
}

int L4Rig::IndexOf(const std::string& interface) const { return static_cast<int>(if_nametoindex(interface.c_str())); }

int L4Rig::RunTc(Frame& frame, int ifindex) {
  Frame out(frame.size() + 256);
  __sk_buff context{};
  context.ifindex = static_cast<__u32>(ifindex);
  LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(), .data_out = out.data(), .data_size_in = static_cast<__u32>(frame.size()),
              .data_size_out = static_cast<__u32>(out.size()), .ctx_in = &context, .ctx_size_in = sizeof(context));
  const int error = bpf_prog_test_run_opts(bpf_program__fd(objects_->tc->progs.l4_tc), &opts);
  if (error != 0) return -errno;
  out.resize(opts.data_size_out);
  frame = std::move(out);
  return static_cast<int>(opts.retval);
}

int L4Rig::RunXdp(Frame& frame, int ifindex) {
  Frame out(frame.size() + 256);
  xdp_md context{};
  context.data_end = static_cast<__u32>(frame.size());
  context.ingress_ifindex = static_cast<__u32>(ifindex);
  LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(), .data_out = out.data(), .data_size_in = static_cast<__u32>(frame.size()),
              .data_size_out = static_cast<__u32>(out.size()), .ctx_in = &context, .ctx_size_in = sizeof(context));
  const int error = bpf_prog_test_run_opts(bpf_program__fd(objects_->xdp->progs.l4_xdp), &opts);
  if (error != 0) return -errno;
  out.resize(opts.data_size_out);
  frame = std::move(out);
  return static_cast<int>(opts.retval);
}

// Counts before and after tell the verdict.
Outcome L4Rig::Run(Way way, const Frame& frame, const std::string& interface) {
  const int ifindex = IndexOf(interface);
  const std::vector<uint64_t> before = Counts();
  Outcome outcome;
  outcome.frame = frame;
  if (way == Way::kXdp) {
    outcome.action = RunXdp(outcome.frame, ifindex);
    outcome.by_xdp = Count(L4_XDP_HANDED_ON) == before[L4_XDP_HANDED_ON];
    if (!outcome.by_xdp) {
      EXPECT_EQ(outcome.action, kXdpPass);
      EXPECT_EQ(outcome.frame, frame) << "handed on, but not as it came";
    }
  }
  if (!outcome.by_xdp) outcome.action = RunTc(outcome.frame, ifindex);
  EXPECT_GE(outcome.action, -1) << "test run: " << std::strerror(-outcome.action);
  const std::vector<uint64_t> after = Counts();
  int verdicts = 0;
  for (uint32_t i = 0; i < L4_VERDICTS; ++i) {
    if (after[i] == before[i] || i == L4_XDP_HANDED_ON) continue;
    outcome.verdict = static_cast<l4_reason>(i);
    ++verdicts;
  }
  EXPECT_EQ(verdicts, 1) << "verdicts of one packet";
  outcome.reading = Read(outcome.frame);
  return outcome;
}

template <typename Value>
Value L4Rig::PerCpuSum(const char* map, uint32_t key) const {
  static const int cpus = libbpf_num_possible_cpus();
  constexpr size_t kWords = sizeof(Value) / sizeof(uint64_t);
  std::vector<uint64_t> values(kWords * static_cast<size_t>(cpus));
  Must(bpf_map_lookup_elem(Fd(map), &key, values.data()) == 0, map);
  uint64_t sum[kWords] = {};
  for (size_t i = 0; i < values.size(); ++i) sum[i % kWords] += values[i];
  Value value;
  std::memcpy(&value, sum, sizeof(value));
  return value;
}

uint64_t L4Rig::Count(l4_reason reason) const { return PerCpuSum<l4_count>("l4_reasons", reason).packets; }

std::vector<uint64_t> L4Rig::Counts() const {
  std::vector<uint64_t> counts;
  for (uint32_t i = 0; i < L4_REASONS; ++i) counts.push_back(Count(static_cast<l4_reason>(i)));
  return counts;
}

l4_traffic L4Rig::ServiceTraffic(uint32_t service) const { return PerCpuSum<l4_traffic>("l4_service_traffic", service); }
l4_traffic L4Rig::EndpointTraffic(uint32_t slot) const { return PerCpuSum<l4_traffic>("l4_endpoint_traffic", slot); }

L4Rig::Flows L4Rig::Dump(const char* map) const {
  Flows flows;
  l4_flow_key key{}, *previous = nullptr;
  l4_flow flow{};
  for (l4_flow_key next{}; bpf_map_get_next_key(Fd(map), previous, &next) == 0; key = next, previous = &key) {
    if (bpf_map_lookup_elem(Fd(map), &next, &flow) == 0) flows.emplace_back(next, flow);
  }
  return flows;
}

L4Rig::Flows L4Rig::Confirmed() const { return Dump("l4_flows"); }
L4Rig::Flows L4Rig::HalfOpen() const { return Dump("l4_half_open"); }

void L4Rig::PutHalfOpen(const l4_flow_key& key, const l4_flow& flow) {
  Must(bpf_map_update_elem(Fd("l4_half_open"), &key, &flow, BPF_ANY) == 0, "l4_half_open");
}

void L4Rig::PutConfirmed(const l4_flow_key& key, const l4_flow& flow) {
  Must(bpf_map_update_elem(Fd("l4_flows"), &key, &flow, BPF_ANY) == 0, "l4_flows");
}

void L4Rig::ForgetFlows() {
  for (const auto& [key, flow] : Confirmed()) bpf_map_delete_elem(Fd("l4_flows"), &key);
  for (const auto& [key, flow] : HalfOpen()) bpf_map_delete_elem(Fd("l4_half_open"), &key);
}

std::string Name(l4_reason reason) {
#define L4_NAME(name, text) #name,
  static const char* const names[] = {L4_REASONS_LIST(L4_NAME)};
#undef L4_NAME
  return reason < L4_REASONS ? names[reason] : "?";
}

}  // namespace ringway::dp
