// tc: ICMP and ICMPv6 errors that we send ourselves: the packet shrinks to its headers, and ours are put before them.
#pragma once

struct l4_icmp_header {
	__u8 type;
	__u8 code;
	__be16 check;
	__be32 rest; // MTU of "too big"
};

static __always_inline struct l4_icmp_header l4_icmp_of(int verdict, bool v6, __u32 mtu)
{
	struct l4_icmp_header header = {};

	switch (verdict) {
	case L4_TOO_BIG:
		header.type = v6 ? ICMPV6_PKT_TOOBIG : ICMP_DEST_UNREACH;
		header.code = v6 ? 0 : ICMP_FRAG_NEEDED;
		header.rest = bpf_htonl(v6 ? mtu : mtu & 0xffff);
		break;
	case L4_TTL_EXPIRED:
		header.type = v6 ? ICMPV6_TIME_EXCEED : ICMP_TIME_EXCEEDED;
		break;
	default:
		header.type = v6 ? ICMPV6_DEST_UNREACH : ICMP_DEST_UNREACH;
		header.code = v6 ? ICMPV6_PORT_UNREACH : ICMP_PORT_UNREACH;
	}
	return header;
}

// The sum of the original's headers as they will be on the wire. Of a transport header whose checksum a device will complete, that
// is the complement of what the field holds now.
static __always_inline __u64 l4_icmp_inner_sum(l4_ctx *ctx, const struct l4_packet *p, __u32 inner, __u8 *buffer)
{
	__u32 network = p->transport - ETH_HLEN;
	bool tcp = p->key.protocol == IPPROTO_TCP;
	__be16 check = 0;

	if (bpf_skb_load_bytes(ctx, p->transport + (tcp ? 16 : 6), &check, sizeof(check)))
		return 0;
	if (l4_sum_is_partial(p, check)) {
		if (network < 20 || network > L4_INNER_MAX || bpf_skb_load_bytes(ctx, ETH_HLEN, buffer, network))
			return 0;
		return (__u64)bpf_csum_diff(NULL, 0, (__be32 *)buffer, network & 0xfc, 0) + (__u16)~check;
	}
	if (inner < 28 || inner > L4_INNER_MAX || bpf_skb_load_bytes(ctx, ETH_HLEN, buffer, inner))
		return 0;
	return bpf_csum_diff(NULL, 0, (__be32 *)buffer, inner & 0xfc, 0);
}

static __always_inline long l4_icmp_write(l4_ctx *ctx, const struct l4_packet *p, __u32 inner, const struct l4_icmp_header *header)
{
	__u32 network = p->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr), payload = sizeof(*header) + inner;

	if (bpf_skb_store_bytes(ctx, ETH_HLEN + network, header, sizeof(*header), BPF_F_RECOMPUTE_CSUM))
		return -1;
	return p->v6 ? l4_reply_v6(ctx, p, payload, IPPROTO_ICMPV6) : l4_reply_v4(ctx, p, network, payload, IPPROTO_ICMP);
}

L4_SUBPROGRAM int l4_reply_icmp(l4_ctx *ctx, struct l4_work *work, int verdict, __u32 mtu)
{
	struct l4_packet *p = &work->packet;
	struct l4_icmp_header header;
	__u32 keep, inner;
	__u64 sum;

	if (!work)
		return TC_ACT_SHOT;
	header = l4_icmp_of(verdict, p->v6, mtu);
	keep = p->transport + (p->key.protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr));
	inner = keep - ETH_HLEN;
	if (inner > L4_INNER_MAX)
		return TC_ACT_SHOT;
	sum = l4_icmp_inner_sum(ctx, p, inner, work->buffer);
	if (!sum)
		return TC_ACT_SHOT;
	sum += (__u32)bpf_csum_diff(NULL, 0, (__be32 *)&header, sizeof(header), 0);
	if (p->v6)
		sum += l4_pseudo_sum(p, sizeof(header) + inner, IPPROTO_ICMPV6);
	header.check = ~l4_fold(sum);
	if (bpf_skb_change_tail(ctx, keep, 0))
		return TC_ACT_SHOT;
	if (bpf_skb_adjust_room(ctx, (p->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) + sizeof(header), BPF_ADJ_ROOM_MAC, 0))
		return TC_ACT_SHOT;
	if (l4_icmp_write(ctx, p, inner, &header))
		return TC_ACT_SHOT;
	return l4_reply_send(ctx);
}
