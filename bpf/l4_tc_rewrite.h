// tc: a packet's addresses become what its flow says. Checksums are changed by the kernel's helpers alone, which know whether
// the sender's stack left the rest of the sum to a device (CHECKSUM_PARTIAL, GSO), whether it was summed on arrival
// (CHECKSUM_COMPLETE), and that a UDP checksum of zero means none. Payload and MSS are not touched.
#pragma once

#define L4_V4_SOURCE offsetof(struct iphdr, saddr)
#define L4_V6_SOURCE offsetof(struct ipv6hdr, saddr)

struct l4_addresses {
	__u32 source[4];
	__u32 dest[4];
};

// bpf_l4_csum_replace for addresses. Without BPF_F_IPV6 (new in 6.16) an older kernel is asked the old way.
static __always_inline long l4_tc_sum_addresses(l4_ctx *ctx, __u32 offset, __u64 difference, __u64 flags, bool v6)
{
	long error = -L4_EINVAL;

	if (v6)
		error = bpf_l4_csum_replace(ctx, offset, 0, difference, flags | BPF_F_PSEUDO_HDR | BPF_F_IPV6);
	if (error == -L4_EINVAL)
		error = bpf_l4_csum_replace(ctx, offset, 0, difference, flags | BPF_F_PSEUDO_HDR);
	return error;
}

// The sum's difference between the key's addresses and the new ones.
static __always_inline __u64 l4_tc_difference(const struct l4_packet *p, const struct l4_addresses *to)
{
	struct l4_addresses from;

	l4_ip_copy(from.source, p->key.source);
	l4_ip_copy(from.dest, p->key.dest);
	return bpf_csum_diff((__be32 *)&from, sizeof(from), (__be32 *)to, sizeof(*to), 0);
}

// The network header's addresses, and the hop limit when we are the router.
static __always_inline long l4_tc_rewrite_network(l4_ctx *ctx, const struct l4_packet *p, const struct l4_addresses *to,
						  __u64 difference, bool routed)
{
	__u8 ttl = p->ttl - 1;
	__be32 v4[2] = { to->source[3], to->dest[3] };

	if (p->v6) {
		if (routed && bpf_skb_store_bytes(ctx, ETH_HLEN + offsetof(struct ipv6hdr, hop_limit), &ttl, 1, BPF_F_RECOMPUTE_CSUM))
			return -1;
		return bpf_skb_store_bytes(ctx, ETH_HLEN + L4_V6_SOURCE, to, sizeof(*to), 0);
	}
	if (bpf_l3_csum_replace(ctx, ETH_HLEN + offsetof(struct iphdr, check), 0, difference, 0))
		return -1;
	if (routed) {
		if (bpf_l3_csum_replace(ctx, ETH_HLEN + offsetof(struct iphdr, check), bpf_htons(p->ttl << 8), bpf_htons(ttl << 8), 2))
			return -1;
		if (bpf_skb_store_bytes(ctx, ETH_HLEN + offsetof(struct iphdr, ttl), &ttl, 1, 0))
			return -1;
	}
	return bpf_skb_store_bytes(ctx, ETH_HLEN + L4_V4_SOURCE, v4, sizeof(v4), 0);
}

static __always_inline long l4_tc_rewrite_transport(l4_ctx *ctx, const struct l4_packet *p, const struct l4_flow *flow,
						    __u64 difference)
{
	bool udp = p->key.protocol == IPPROTO_UDP;
	__u32 check = p->transport + (udp ? offsetof(struct udphdr, check) : offsetof(struct tcphdr, check));
	__u64 flags = udp ? BPF_F_MARK_MANGLED_0 : 0;
	__be16 from[2] = { p->key.source_port, p->key.dest_port }, to[2] = { flow->source_port, flow->dest_port };

	if (l4_tc_sum_addresses(ctx, check, difference, flags, p->v6))
		return -1;
	if (bpf_l4_csum_replace(ctx, check, *(__u32 *)from, *(__u32 *)to, flags | 4))
		return -1;
	return bpf_skb_store_bytes(ctx, p->transport, to, sizeof(to), 0);
}

// 0, or negative when the packet may be half changed: it must be dropped then. `routed`: not left to this machine's stack.
L4_SUBPROGRAM int l4_tc_rewrite(l4_ctx *ctx, struct l4_work *work, bool routed)
{
	struct l4_packet *p = &work->packet;
	struct l4_flow *flow = &work->flow;
	struct l4_addresses to;
	__u64 difference;

	if (!work)
		return -1;
	l4_ip_copy(to.source, flow->source);
	l4_ip_copy(to.dest, flow->dest);
	difference = l4_tc_difference(p, &to);
	if (p->fragment != L4_FRAGMENT_LATER && l4_tc_rewrite_transport(ctx, p, flow, difference))
		return -1;
	return l4_tc_rewrite_network(ctx, p, &to, difference, routed);
}
