// The packet delivery's decision, shared by l4_tc.bpf.c and l4_xdp.bpf.c: which flow a packet belongs to, and what becomes of it.
// Parse (l4_packet.h), look up (l4_flow.h), choose (l4_choose.h, l4_open.h, l4_port.h); each program acts in its own way.
// docs/adr/0007 has the why. Runs in softirq, one packet at a time on a CPU.
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/lb_abi.h"

// clang-format off: in the order in which they build on one another
#include "bpf/l4_packet.h"
#include "bpf/l4_maps.h"
#include "bpf/l4_count.h"
#include "bpf/l4_state.h"
#include "bpf/l4_round_trip.h"
#include "bpf/l4_choose.h"
#include "bpf/l4_flow.h"
#include "bpf/l4_port.h"
#include "bpf/l4_open.h"
// clang-format on

static __always_inline bool l4_endpoint_alive(const struct l4_flow *flow)
{
	__u32 slot = flow->endpoint;
	struct l4_endpoint *endpoint = bpf_map_lookup_elem(&l4_endpoints, &slot);

	return endpoint && endpoint->generation == flow->generation &&
	       (endpoint->state == L4_READY || endpoint->state == L4_DRAINING);
}

// L4_GO: the flow is gone and the packet may open another one.
static __always_inline int l4_lose_endpoint(const struct l4_packet *p, struct l4_work *work)
{
	bool client = work->flow.flags & L4_FLOW_CLIENT;

	if (L4_IS_XDP)
		return L4_XDP_HANDED_ON;
	l4_flow_drop(&p->key, work);
	l4_bump(work->flow.service, work->flow.endpoint, flows_dropped);
	if (client && l4_is_first(p))
		return L4_GO;
	return work->flow.flags & L4_FLOW_SILENT ? L4_SILENCED : L4_ENDPOINT_GONE;
}

// A packet of a known flow. `entry` is copied to work->flow.
// Asks for its work itself: a kernel before 6.2 takes no pointer argument of a subprogram for a map's key.
L4_SUBPROGRAM int l4_continue(struct l4_flow *entry, bool half_open)
{
	struct l4_work *work = l4_work();
	struct l4_packet *p;
	struct l4_flow *flow;
	bool client, tcp, later, stepped = false;
	__u32 tick = l4_tick();
	__u8 state, flags;

	if (!entry || !work)
		return L4_ACTION_FAILED;
	p = &work->packet;
	flow = &work->flow;
	*flow = *entry;
	state = flow->state;
	flags = flow->flags;
	client = flags & L4_FLOW_CLIENT;
	tcp = p->key.protocol == IPPROTO_TCP;
	if (!l4_endpoint_alive(flow))
		return l4_lose_endpoint(p, work);
	if (tcp && client && l4_state_over(state) && l4_is_first(p)) {
		l4_flow_drop(&p->key, work);
		l4_event(L4_EVENT_REUSED);
		return L4_GO;
	}
	if (tcp) {
		l4_advance_tcp(flow, p->tcp_flags);
		stepped = l4_handshake_step(flow, state, p->tcp_flags);
	} else {
		l4_advance_udp(flow, tick);
	}
	later = entry->tick != tick;
	if (later) {
		flow->tick = tick;
		entry->tick = tick;
	}
	if (flow->state != state || flow->flags != flags || stepped) {
		l4_flow_write_state(entry, work, p->key.protocol);
		if (flow->state == L4_RESET)
			l4_bump(flow->service, flow->endpoint, flows_reset);
		later = true;
	}
	if (half_open && later && client && l4_state_confirmed(flow->state) && l4_flow_promote(&p->key, work)) {
		bpf_map_delete_elem(&l4_half_open, &p->key);
		return flags & L4_FLOW_SILENT ? L4_SILENCED : L4_NO_FLOW;
	}
	return client ? L4_TO_ENDPOINT : L4_TO_CLIENT;
}

// The verdict on a parsed packet with ports. Of L4_TO_ENDPOINT, _STATELESS and L4_TO_CLIENT, work->flow is what to do.
static __always_inline int l4_decide(l4_ctx *ctx, struct l4_work *work)
{
	bool half_open;
	struct l4_flow *entry = l4_flow_find(&work->packet.key, &half_open);
	int verdict;

	if (entry) {
		verdict = l4_continue(entry, half_open);
		if (verdict != L4_GO)
			return verdict;
	}
	return l4_open(ctx);
}
