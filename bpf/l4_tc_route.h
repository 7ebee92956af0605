// tc: where a packet goes after rewriting, asked before it, so that a packet that cannot go is answered as its sender sent it.
// Forwarding is by the routing table and bpf_redirect_neigh, which resolves neighbours as the stack does, but needs neither
// ip_forward nor accept_local (a packet with our own source address is no martian to it).
#pragma once

struct l4_route {
	struct bpf_redir_neigh next; // nh_family 0: routing at the interface decides
	__u32 ifindex;
	__u32 mtu; // of L4_TOO_BIG
	bool stack; // this machine's own stack takes it
};

static __always_inline void l4_route_next(struct l4_route *route, const __u32 ip[4], bool v6)
{
	route->next.nh_family = v6 ? L4_AF_INET6 : L4_AF_INET;
	if (v6)
		l4_ip_copy(route->next.ipv6_nh, ip);
	else
		route->next.ipv4_nh = ip[3];
}

// Forwarding is off here: out by the configured interface, or by the one it came by.
static __always_inline int l4_route_blind(l4_ctx *ctx, const struct l4_packet *p, const struct l4_flow *flow, struct l4_route *route)
{
	__u32 mtu = 0;

	route->ifindex = options.ifindex ? options.ifindex : ctx->ifindex;
	if (flow->flags & L4_FLOW_PLAIN)
		l4_route_next(route, flow->dest, p->v6);
	if (bpf_check_mtu(ctx, route->ifindex, &mtu, 0, 0) != BPF_MTU_CHK_RET_FRAG_NEEDED)
		return L4_GO;
	route->mtu = mtu;
	return L4_TOO_BIG;
}

// What a GSO packet is cut into is what has to fit.
static __always_inline __u32 l4_route_length(l4_ctx *ctx, const struct l4_packet *p)
{
	__u32 headers = p->transport - ETH_HLEN + p->header;

	return ctx->gso_size ? headers + ctx->gso_size : p->length;
}

static __always_inline void l4_route_question(l4_ctx *ctx, const struct l4_packet *p, const struct l4_flow *flow,
					      struct bpf_fib_lookup *fib)
{
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->family = p->v6 ? L4_AF_INET6 : L4_AF_INET;
	fib->l4_protocol = p->key.protocol;
	fib->sport = flow->source_port;
	fib->dport = flow->dest_port;
	fib->tot_len = l4_route_length(ctx, p) > 0xffff ? 0xffff : l4_route_length(ctx, p);
	fib->ifindex = ctx->ifindex;
	if (p->v6) {
		l4_ip_copy(fib->ipv6_src, flow->source);
		l4_ip_copy(fib->ipv6_dst, flow->dest);
	} else {
		fib->ipv4_src = flow->source[3];
		fib->ipv4_dst = flow->dest[3];
	}
}

static __always_inline int l4_route_answer(const struct l4_flow *flow, const struct bpf_fib_lookup *fib, bool v6, struct l4_route *route)
{
	route->ifindex = fib->ifindex;
	if (fib->family == L4_AF_INET6) { // IPv4 may have an IPv6 next hop (RFC 5549)
		route->next.nh_family = L4_AF_INET6;
		l4_ip_copy(route->next.ipv6_nh, fib->ipv6_dst);
	} else {
		route->next.nh_family = L4_AF_INET;
		route->next.ipv4_nh = fib->ipv4_dst;
	}
	// Direct return is by MAC address: a router in between would send the packet back to us.
	if (flow->flags & L4_FLOW_PLAIN && (v6 ? !l4_ip_equal(route->next.ipv6_nh, flow->dest) : route->next.ipv4_nh != flow->dest[3]))
		return L4_NO_ROUTE;
	return L4_GO;
}

// L4_GO and the route, or the verdict.
L4_SUBPROGRAM int l4_route_find(l4_ctx *ctx, struct l4_work *work, struct l4_route *route)
{
	struct l4_packet *p = &work->packet;
	struct l4_flow *flow = &work->flow;
	struct bpf_fib_lookup fib;
	long result;

	if (!work || !route)
		return L4_ACTION_FAILED;
	__builtin_memset(route, 0, sizeof(*route));
	route->stack = options.flags & L4_OPTION_STACK && !(flow->flags & L4_FLOW_PLAIN);
	if (route->stack)
		return L4_GO;
	l4_route_question(ctx, p, flow, &fib);
	result = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	switch (result) {
	case BPF_FIB_LKUP_RET_SUCCESS:
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		if (!(flow->flags & L4_FLOW_PLAIN) && p->ttl <= 1)
			return L4_TTL_EXPIRED;
		return l4_route_answer(flow, &fib, p->v6, route);
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return l4_route_blind(ctx, p, flow, route);
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		route->mtu = fib.mtu_result;
		return L4_TOO_BIG;
	case BPF_FIB_LKUP_RET_NOT_FWDED: // an address of this machine, or no route
		route->stack = !(flow->flags & L4_FLOW_PLAIN);
		return route->stack ? L4_GO : L4_NO_ROUTE;
	}
	return L4_NO_ROUTE;
}

static __always_inline int l4_route_take(const struct l4_flow *flow, struct l4_route *route)
{
	__u32 slot = flow->endpoint;
	struct l4_endpoint *endpoint;

	if (route->stack)
		return TC_ACT_OK;
	endpoint = flow->flags & L4_FLOW_CLIENT ? bpf_map_lookup_elem(&l4_endpoints, &slot) : NULL;
	if (endpoint && endpoint->flags & L4_ENDPOINT_PEER && endpoint->ifindex == route->ifindex)
		return bpf_redirect_peer(route->ifindex, 0);
	if (!route->next.nh_family)
		return bpf_redirect_neigh(route->ifindex, NULL, 0, 0);
	return bpf_redirect_neigh(route->ifindex, &route->next, sizeof(route->next), 0);
}
