// tc: ICMP errors about packets that we sent on are sent on too, with the addresses that the receiver knows, outside and inside
// (RFC 5508 section 4). Without this no path MTU would be found through us. Errors about anything else are not ours.
#pragma once

// The packet inside the error, and where it is in the frame.
struct l4_inner {
	struct l4_flow_key key; // as an answer to it would have: the key of its flow
	__u32 network;
	__u32 transport;
	__u32 end; // of the frame's packet
};

static __always_inline bool l4_icmp_is_error(const struct l4_packet *p)
{
	if (p->v6)
		return p->icmp_type >= ICMPV6_DEST_UNREACH && p->icmp_type <= ICMPV6_PARAMPROB;
	return p->icmp_type == ICMP_DEST_UNREACH || p->icmp_type == ICMP_TIME_EXCEEDED || p->icmp_type == ICMP_PARAMETERPROB;
}

// IPv6: behind the fragment header, if there is one. Of a later fragment nothing says whose it is; its first one has an error too.
static __always_inline int l4_inner_fragment(l4_ctx *ctx, struct l4_inner *inner)
{
	struct l4_fragment_header fragment;

	if (inner->key.protocol != IPPROTO_FRAGMENT)
		return L4_GO;
	if (bpf_skb_load_bytes(ctx, inner->transport, &fragment, sizeof(fragment)))
		return L4_MALFORMED;
	if (fragment.offset & bpf_htons(0xfff8))
		return L4_NOT_OURS;
	inner->key.protocol = fragment.next;
	inner->transport += sizeof(fragment);
	return L4_GO;
}

static __always_inline int l4_inner_network(l4_ctx *ctx, const struct l4_packet *p, struct l4_inner *inner)
{
	struct ipv6hdr v6;
	struct iphdr v4;

	if (p->v6) {
		if (bpf_skb_load_bytes(ctx, inner->network, &v6, sizeof(v6)) || v6.version != 6)
			return L4_MALFORMED;
		l4_ip_copy(inner->key.source, v6.daddr.in6_u.u6_addr32);
		l4_ip_copy(inner->key.dest, v6.saddr.in6_u.u6_addr32);
		inner->key.protocol = v6.nexthdr;
		inner->transport = inner->network + sizeof(v6);
		return l4_inner_fragment(ctx, inner);
	}
	if (bpf_skb_load_bytes(ctx, inner->network, &v4, sizeof(v4)) || v4.version != 4 || v4.ihl < 5)
		return L4_MALFORMED;
	if (v4.frag_off & bpf_htons(0x1fff))
		return L4_NOT_OURS;
	l4_ip_from_v4(inner->key.source, v4.daddr);
	l4_ip_from_v4(inner->key.dest, v4.saddr);
	inner->key.protocol = v4.protocol;
	inner->transport = inner->network + v4.ihl * 4;
	return L4_GO;
}

static __always_inline int l4_inner_parse(l4_ctx *ctx, const struct l4_packet *p, struct l4_inner *inner)
{
	__be16 ports[2];
	int verdict;

	__builtin_memset(inner, 0, sizeof(*inner));
	inner->network = p->transport + sizeof(struct l4_icmp_header);
	inner->end = ETH_HLEN + p->length;
	verdict = l4_inner_network(ctx, p, inner);
	if (verdict != L4_GO)
		return verdict;
	if (inner->key.protocol != IPPROTO_TCP && inner->key.protocol != IPPROTO_UDP)
		return L4_NOT_OURS;
	if (!l4_ip_equal(inner->key.dest, p->key.dest)) // only to whom sent the packet inside
		return L4_NOT_OURS;
	if (inner->transport + 8 > inner->end || bpf_skb_load_bytes(ctx, inner->transport, ports, sizeof(ports)))
		return L4_MALFORMED;
	inner->key.source_port = ports[1];
	inner->key.dest_port = ports[0];
	return L4_GO;
}

// Flow of the packet inside, in work->flow. With direct return the endpoint's packets were never here: the table's choice.
static __always_inline int l4_inner_flow(const struct l4_packet *p, const struct l4_inner *inner, struct l4_work *work)
{
	struct l4_vip_key key = { .port = inner->key.dest_port, .protocol = inner->key.protocol };
	struct l4_endpoint *endpoint;
	struct l4_packet as_client;
	struct l4_flow *flow;
	struct l4_vip *vip;
	bool half_open;
	__u32 slot;

	flow = l4_flow_find(&inner->key, &half_open);
	if (flow) {
		work->flow = *flow;
		return L4_GO;
	}
	l4_ip_copy(key.ip, inner->key.dest);
	vip = bpf_map_lookup_elem(&l4_vips, &key);
	if (!vip || vip->mode != L4_DIRECT)
		return L4_NOT_OURS;
	as_client = *p;
	as_client.key = inner->key;
	slot = l4_choose(&as_client, vip->service);
	endpoint = slot ? bpf_map_lookup_elem(&l4_endpoints, &slot) : NULL;
	if (!endpoint)
		return L4_NOT_OURS;
	l4_flow_begin(&as_client, vip, slot, endpoint, work);
	return L4_GO;
}

// The checksum at `offset` inside the error, where there is one: changed by `difference` in place. Its own change is added to *sum.
static __always_inline long l4_inner_check(l4_ctx *ctx, const struct l4_inner *inner, __u64 difference, __u64 *sum)
{
	bool udp = inner->key.protocol == IPPROTO_UDP;
	__u32 offset = inner->transport + (udp ? offsetof(struct udphdr, check) : offsetof(struct tcphdr, check));
	__be16 check, changed;

	if (offset + 2 > inner->end)
		return 0;
	if (bpf_skb_load_bytes(ctx, offset, &check, sizeof(check)))
		return -1;
	if (udp && !check)
		return 0;
	changed = ~l4_fold((__u64)(__u16)~check + difference);
	if (udp && !changed)
		changed = 0xffff;
	*sum += (__u64)(__u16)~check + changed;
	return bpf_skb_store_bytes(ctx, offset, &changed, sizeof(changed), 0);
}

// Addresses and ports inside. *sum is what the error's own checksum changes by.
static __always_inline long l4_inner_rewrite(l4_ctx *ctx, const struct l4_packet *p, const struct l4_inner *inner,
					     const struct l4_flow *flow, __u64 *sum)
{
	struct l4_addresses from, to;
	__be16 old[2] = { inner->key.dest_port, inner->key.source_port }, ports[2] = { flow->dest_port, flow->source_port };
	__be32 v4[2] = { flow->dest[3], flow->source[3] };
	__u64 addresses, port;

	l4_ip_copy(from.source, inner->key.dest);
	l4_ip_copy(from.dest, inner->key.source);
	l4_ip_copy(to.source, flow->dest);
	l4_ip_copy(to.dest, flow->source);
	addresses = (__u32)bpf_csum_diff((__be32 *)&from, sizeof(from), (__be32 *)&to, sizeof(to), 0);
	port = (__u32)bpf_csum_diff((__be32 *)old, sizeof(old), (__be32 *)ports, sizeof(ports), 0);
	*sum = port;
	if (p->v6) { // in IPv4 the inner header's own checksum takes the change back
		*sum += addresses;
		if (bpf_skb_store_bytes(ctx, inner->network + L4_V6_SOURCE, &to, sizeof(to), 0))
			return -1;
	} else if (bpf_l3_csum_replace(ctx, inner->network + offsetof(struct iphdr, check), 0, addresses, 0) ||
		   bpf_skb_store_bytes(ctx, inner->network + L4_V4_SOURCE, v4, sizeof(v4), 0)) {
		return -1;
	}
	if (bpf_skb_store_bytes(ctx, inner->transport, ports, sizeof(ports), 0))
		return -1;
	return l4_inner_check(ctx, inner, addresses + port, sum);
}

static __always_inline long l4_icmp_rewrite(l4_ctx *ctx, const struct l4_packet *p, const struct l4_inner *inner, struct l4_flow *flow,
					    bool routed)
{
	__u32 check = p->transport + offsetof(struct l4_icmp_header, check);
	struct l4_addresses to;
	__u64 difference, sum;

	if (l4_inner_rewrite(ctx, p, inner, flow, &sum))
		return -1;
	// Who says it stays visible to the endpoint, unless it would answer it past us; a client must not see what is behind us.
	l4_ip_copy(to.source, flow->flags & L4_FLOW_CLIENT && !(flow->flags & L4_FLOW_NAT) ? p->key.source : flow->source);
	l4_ip_copy(to.dest, flow->dest);
	difference = l4_tc_difference(p, &to);
	if (p->v6 && l4_tc_sum_addresses(ctx, check, difference, 0, true))
		return -1;
	if (bpf_l4_csum_replace(ctx, check, 0, l4_fold(sum), 0))
		return -1;
	return l4_tc_rewrite_network(ctx, p, &to, difference, routed);
}

L4_SUBPROGRAM int l4_icmp_error(l4_ctx *ctx, struct l4_work *work)
{
	struct l4_packet *p = &work->packet;
	struct l4_route route;
	struct l4_inner inner;
	int verdict;

	if (!work)
		return L4_ACTION_FAILED;
	verdict = l4_inner_parse(ctx, p, &inner);
	if (verdict == L4_GO)
		verdict = l4_inner_flow(p, &inner, work);
	if (verdict != L4_GO)
		return verdict;
	verdict = l4_route_find(ctx, work, &route);
	if (verdict != L4_GO) {
		work->action = TC_ACT_SHOT;
		return verdict;
	}
	if (!(work->flow.flags & L4_FLOW_PLAIN) && l4_icmp_rewrite(ctx, p, &inner, &work->flow, !route.stack)) {
		work->action = TC_ACT_SHOT;
		return L4_ACTION_FAILED;
	}
	work->action = l4_route_take(&work->flow, &route);
	return work->flow.flags & L4_FLOW_CLIENT ? L4_ICMP_TO_ENDPOINT : L4_ICMP_TO_CLIENT;
}
