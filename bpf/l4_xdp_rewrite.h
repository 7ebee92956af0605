// XDP: a packet's addresses become what its flow says. What arrives here has finished checksums (a NIC's packets do; of a veth
// pair the other end must have tx-checksumming off), so they are changed by difference (RFC 1624), in a copy of the headers.
#pragma once

// A checksum field after what it covers has changed by `difference`.
static __always_inline __u16 l4_xdp_sum(__u16 check, __u64 difference)
{
	return ~l4_fold((__u64)(__u16)~check + difference);
}

// What a sum over `from` grows by when it is over `to`: 32 bits, of words in the packet's order.
static __always_inline __u64 l4_xdp_difference(const __u32 from[4], const __u32 to[4])
{
	__u64 sum = 0;

	for (int i = 0; i < 4; i++)
		sum += (__u64)(__u32)~from[i] + to[i];
	return sum;
}

static __always_inline long l4_xdp_rewrite_transport(l4_ctx *ctx, const struct l4_packet *p, const struct l4_flow *flow, __u64 difference)
{
	bool udp = p->key.protocol == IPPROTO_UDP;
	__u32 at = p->transport + (udp ? offsetof(struct udphdr, check) : offsetof(struct tcphdr, check));
	__be16 ports[2] = { flow->source_port, flow->dest_port };
	__u16 check;

	if (bpf_xdp_load_bytes(ctx, at, &check, sizeof(check)))
		return -1;
	difference += (__u64)(__u16)~p->key.source_port + (__u16)~p->key.dest_port + ports[0] + ports[1];
	if (!udp || check) {
		check = l4_xdp_sum(check, difference);
		if (udp && !check)
			check = 0xffff;
		if (bpf_xdp_store_bytes(ctx, at, &check, sizeof(check)))
			return -1;
	}
	return bpf_xdp_store_bytes(ctx, p->transport, ports, sizeof(ports));
}

static __always_inline long l4_xdp_rewrite_v4(l4_ctx *ctx, const struct l4_packet *p, const struct l4_flow *flow, __u64 difference)
{
	struct iphdr ip;

	if (bpf_xdp_load_bytes(ctx, ETH_HLEN, &ip, sizeof(ip)))
		return -1;
	// The hop limit is the first byte of its word.
	ip.check = l4_xdp_sum(ip.check, difference + (__u16)~bpf_htons(p->ttl << 8) + bpf_htons((p->ttl - 1) << 8));
	ip.ttl = p->ttl - 1;
	ip.saddr = flow->source[3];
	ip.daddr = flow->dest[3];
	return bpf_xdp_store_bytes(ctx, ETH_HLEN, &ip, sizeof(ip));
}

static __always_inline long l4_xdp_rewrite_v6(l4_ctx *ctx, const struct l4_packet *p, const struct l4_flow *flow)
{
	struct ipv6hdr ip;

	if (bpf_xdp_load_bytes(ctx, ETH_HLEN, &ip, sizeof(ip)))
		return -1;
	ip.hop_limit = p->ttl - 1;
	l4_ip_copy(ip.saddr.in6_u.u6_addr32, flow->source);
	l4_ip_copy(ip.daddr.in6_u.u6_addr32, flow->dest);
	return bpf_xdp_store_bytes(ctx, ETH_HLEN, &ip, sizeof(ip));
}

// 0, or negative when the packet may be half changed: it must be dropped then.
L4_SUBPROGRAM int l4_xdp_rewrite(l4_ctx *ctx, struct l4_work *work)
{
	struct l4_packet *p = &work->packet;
	struct l4_flow *flow = &work->flow;
	__u64 difference;

	if (!work)
		return -1;
	difference = l4_xdp_difference(p->key.source, flow->source) + l4_xdp_difference(p->key.dest, flow->dest);
	if (l4_xdp_rewrite_transport(ctx, p, flow, difference))
		return -1;
	return p->v6 ? l4_xdp_rewrite_v6(ctx, p, flow) : l4_xdp_rewrite_v4(ctx, p, flow, difference);
}
