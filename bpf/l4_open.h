// A packet of no known flow, to a service: an endpoint is chosen and the flow made.
#pragma once

static __always_inline bool l4_is_first(const struct l4_packet *p)
{
	return p->key.protocol == IPPROTO_UDP ||
	       (p->tcp_flags & (L4_TCP_SYN | L4_TCP_ACK | L4_TCP_RST | L4_TCP_FIN)) == L4_TCP_SYN;
}

static __always_inline void l4_flow_begin(const struct l4_packet *p, const struct l4_vip *vip, __u32 slot,
					  const struct l4_endpoint *endpoint, struct l4_work *work)
{
	struct l4_flow *flow = &work->flow;

	__builtin_memset(flow, 0, sizeof(*flow));
	l4_ip_copy(flow->source, p->key.source);
	l4_ip_copy(flow->dest, endpoint->ip);
	flow->source_port = p->key.source_port;
	flow->dest_port = endpoint->port;
	flow->endpoint = slot;
	flow->generation = endpoint->generation;
	flow->tick = l4_tick();
	flow->opened = p->key.protocol == IPPROTO_UDP ? flow->tick : l4_moment();
	flow->service = vip->service;
	flow->state = p->key.protocol == IPPROTO_UDP ? L4_UDP_NEW : L4_SYN;
	flow->flags = L4_FLOW_CLIENT | (vip->flags & L4_VIP_SILENT ? L4_FLOW_SILENT : 0);
	if (vip->mode == L4_DIRECT)
		flow->flags |= L4_FLOW_SINGLE | L4_FLOW_PLAIN;
}

// The interface behind which `ip` is a neighbour; 0 when it is behind a router, or that cannot be known.
static __always_inline __u32 l4_neighbour_at(l4_ctx *ctx, const __u32 ip[4], bool v6)
{
	struct bpf_fib_lookup fib = {};
	long result;

	fib.family = v6 ? L4_AF_INET6 : L4_AF_INET;
	fib.ifindex = l4_ingress(ctx);
	if (v6)
		l4_ip_copy(fib.ipv6_dst, ip);
	else
		fib.ipv4_dst = ip[3];
	result = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	return (v6 ? l4_ip_equal(fib.ipv6_dst, ip) : fib.family == L4_AF_INET && fib.ipv4_dst == ip[3]) ? fib.ifindex : 0;
}

// Whether the endpoint would answer the client itself, past us: they are neighbours, or the same.
L4_SUBPROGRAM bool l4_past_us(l4_ctx *ctx)
{
	struct l4_work *work = l4_work();
	__u32 ifindex;

	if (!work)
		return false;
	if (l4_ip_equal(work->packet.key.source, work->flow.dest))
		return true;
	ifindex = l4_neighbour_at(ctx, work->flow.dest, work->packet.v6);
	return ifindex && ifindex == l4_neighbour_at(ctx, work->packet.key.source, work->packet.v6);
}

// Reserves the endpoint's side: with the client's own address where the mode says so and it is free, else with a port of ours.
static __always_inline int l4_flow_reserve(l4_ctx *ctx, const struct l4_packet *p, const struct l4_vip *vip,
					   const struct l4_endpoint *endpoint, struct l4_work *work)
{
	bool keep = vip->mode == L4_TRANSPARENT && !l4_past_us(ctx);

	l4_flow_mirror(work, &p->key);
	l4_key_of_other(&work->other, &work->flow, p->key.protocol);
	if (keep && !l4_reserve(work))
		return 0;
	if (vip->mode == L4_TRANSPARENT)
		l4_event(L4_EVENT_NAT_FALLBACK);
	if (l4_is_v4(endpoint->source) == p->v6 || !(endpoint->source[0] | endpoint->source[3])) // none of that family
		return -1;
	work->flow.flags |= L4_FLOW_NAT;
	work->back.flags |= L4_FLOW_NAT;
	l4_ip_copy(work->flow.source, endpoint->source);
	l4_ip_copy(work->other.dest, endpoint->source);
	return l4_port_take(ctx, p, work);
}

static __always_inline int l4_flow_make(l4_ctx *ctx, const struct l4_packet *p, const struct l4_vip *vip, __u32 slot,
					const struct l4_endpoint *endpoint, struct l4_work *work)
{
	struct l4_flow *theirs;
	bool half_open, single = vip->mode == L4_DIRECT;

	l4_flow_begin(p, vip, slot, endpoint, work);
	if (!single && l4_flow_reserve(ctx, p, vip, endpoint, work)) {
		if (!L4_IS_XDP)
			l4_bump(vip->service, slot, refused);
		return L4_NO_PORT;
	}
	if (bpf_map_update_elem(&l4_half_open, &p->key, &work->flow, BPF_NOEXIST)) {
		if (!single)
			bpf_map_delete_elem(&l4_half_open, &work->other);
		theirs = l4_flow_find(&p->key, &half_open);
		if (!theirs)
			return L4_ACTION_FAILED;
		work->flow = *theirs;
		l4_event(L4_EVENT_RACED);
		return L4_TO_ENDPOINT;
	}
	l4_event(L4_EVENT_FLOW_OPENED);
	l4_bump(vip->service, slot, flows_opened);
	return L4_TO_ENDPOINT;
}

static __always_inline int l4_refuse_empty(const struct l4_vip *vip)
{
	__u32 service = vip->service;
	struct l4_traffic *traffic = bpf_map_lookup_elem(&l4_service_traffic, &service);
	bool silent = vip->flags & L4_VIP_SILENT;

	if (traffic && (silent || !L4_IS_XDP)) // what XDP refuses aloud, tc refuses once more
		traffic->refused++;
	return silent ? L4_SILENCED : L4_NO_ENDPOINT;
}

// Asks for its work itself, as l4_continue.
L4_SUBPROGRAM int l4_open(l4_ctx *ctx)
{
	struct l4_work *work = l4_work();
	struct l4_packet *p;
	struct l4_endpoint *endpoint;
	struct l4_vip_key key = {};
	struct l4_vip *vip;
	int verdict;
	bool first;
	__u32 slot;

	if (!work)
		return L4_ACTION_FAILED;
	p = &work->packet;
	first = l4_is_first(p);
	key.port = p->key.dest_port;
	key.protocol = p->key.protocol;
	l4_ip_copy(key.ip, p->key.dest);
	vip = bpf_map_lookup_elem(&l4_vips, &key);
	if (!vip)
		return L4_NOT_OURS;
	if (!first && vip->mode != L4_DIRECT) {
		if ((options.flags & L4_OPTION_SOCKETS) && l4_socket_has(ctx, &p->key, p->v6, false))
			return L4_NOT_OURS; // a connection that the proxy had before the service's delivery was changed
		return vip->flags & L4_VIP_SILENT ? L4_SILENCED : L4_NO_FLOW;
	}
	slot = l4_choose(p, vip->service);
	endpoint = slot ? bpf_map_lookup_elem(&l4_endpoints, &slot) : NULL;
	if (!endpoint)
		return l4_refuse_empty(vip);
	verdict = l4_flow_make(ctx, p, vip, slot, endpoint, work);
	return verdict == L4_TO_ENDPOINT && !first ? L4_TO_ENDPOINT_STATELESS : verdict;
}
