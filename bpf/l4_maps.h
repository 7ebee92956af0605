// Maps and options of the packet delivery, the same in both programs; bpf/lb_abi.h says what each is for and who writes it.
#pragma once

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct l4_vip_key);
	__type(value, struct l4_vip);
} l4_vips SEC(".maps");

struct l4_table_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct l4_table)); // by size: clang leaves the type of an inner map's value out of BTF
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, L4_SERVICES_MAX);
	__type(key, __u32);
	__array(values, struct l4_table_map);
} l4_tables SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, L4_ENDPOINTS_MAX);
	__type(key, __u32);
	__type(value, struct l4_endpoint);
} l4_endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, L4_FLOWS_DEFAULT);
	__type(key, struct l4_flow_key);
	__type(value, struct l4_flow);
} l4_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, L4_HALF_OPEN_DEFAULT);
	__type(key, struct l4_flow_key);
	__type(value, struct l4_flow);
} l4_half_open SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, L4_FRAGMENTS_DEFAULT);
	__type(key, struct l4_fragment_key);
	__type(value, struct l4_fragment);
} l4_fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, L4_REASONS_MAX);
	__type(key, __u32);
	__type(value, struct l4_count);
} l4_reasons SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, L4_SERVICES_MAX);
	__type(key, __u32);
	__type(value, struct l4_traffic);
} l4_service_traffic SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, L4_ENDPOINTS_MAX);
	__type(key, __u32);
	__type(value, struct l4_traffic);
} l4_endpoint_traffic SEC(".maps");

// One packet's work that the 512 bytes of stack have no room for. Programs run with bottom halves off: one at a time on a CPU.
struct l4_work {
	struct l4_packet packet;
	struct l4_flow flow;      // what is done to this packet: a copy of its entry
	struct l4_flow_key other; // a new flow's other side
	struct l4_flow back;
	__u32 port_start; // of the search for a port
	__u32 port_step;
	__u32 port_recycle; // 0: none; else its place in the search, plus one
	__u32 port_worth;
	int action; // TC_ACT_*: what tc is to do
	__u8 buffer[256];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct l4_work);
} l4_scratch SEC(".maps");

const volatile struct l4_options options = {
	.flags = L4_OPTION_SOCKETS,
};

volatile __u32 l4_ports = L4_PORTS(10240, 32767);

static __always_inline struct l4_work *l4_work(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&l4_scratch, &zero);
}

static __always_inline __u32 l4_tick(void)
{
	return bpf_ktime_get_coarse_ns() >> L4_TICK_SHIFT;
}
