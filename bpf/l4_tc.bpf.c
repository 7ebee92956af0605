// SPDX-License-Identifier: GPL-2.0
// The packet delivery at tc ingress: for bridges, veth pairs and containers, where packets carry unfinished checksums and stand
// for many (GSO), and for all that l4_xdp hands on. A packet that is not ours goes on as if this program were not there.
// Verdicts and maps: bpf/lb_abi.h. bpf(2) helpers: bpf-helpers(7).
#include "bpf/l4.h"

#include <linux/pkt_cls.h>

#include "bpf/l4_tc_rewrite.h"
#include "bpf/l4_tc_route.h"
#include "bpf/l4_tc_reply.h"
#include "bpf/l4_tc_icmp_reply.h"
#include "bpf/l4_tc_icmp.h"
#include "bpf/l4_tc_fragment.h"

#define L4_PACKET_HOST 0 // linux/if_packet.h: addressed to this interface

// A refusal in words the sender knows; silence where the service wants it.
static __always_inline int l4_answer(l4_ctx *ctx, struct l4_work *work, int verdict, __u32 mtu)
{
	switch (verdict) {
	case L4_ENDPOINT_GONE:
		if (!(work->flow.flags & L4_FLOW_CLIENT)) // the dead one's own packet: its client learns it by its next one
			return TC_ACT_SHOT;
		// fall through
	case L4_NO_ENDPOINT:
	case L4_NO_FLOW:
	case L4_NO_PORT:
		if (work->packet.key.protocol == IPPROTO_TCP)
			return l4_reply_rst(ctx, &work->packet);
		return l4_reply_icmp(ctx, work, verdict, 0);
	case L4_TOO_BIG:
	case L4_TTL_EXPIRED:
		return l4_reply_icmp(ctx, work, verdict, mtu);
	case L4_NOT_OURS:
	case L4_MALFORMED:
	case L4_HEADER_UNSUPPORTED:
	case L4_FRAGMENT_TINY:
	case L4_FRAGMENT_UNKNOWN:
		return TC_ACT_UNSPEC;
	}
	return TC_ACT_SHOT;
}

// Sends a packet of work->flow on.
static __always_inline int l4_send(l4_ctx *ctx, struct l4_work *work, int verdict)
{
	struct l4_packet *p = &work->packet;
	struct l4_flow *flow = &work->flow;
	struct l4_route route = {};
	int obstacle = l4_route_find(ctx, work, &route);

	if (obstacle != L4_GO) {
		work->action = p->fragment == L4_FRAGMENT_LATER ? TC_ACT_SHOT : l4_answer(ctx, work, obstacle, route.mtu);
		return obstacle;
	}
	if (p->fragment == L4_FRAGMENT_FIRST)
		l4_fragment_keep(p, flow);
	if (!(flow->flags & L4_FLOW_PLAIN) && l4_tc_rewrite(ctx, work, !route.stack)) {
		work->action = TC_ACT_SHOT;
		return L4_ACTION_FAILED;
	}
	l4_count_sent(p, flow);
	work->action = l4_route_take(flow, &route);
	return verdict;
}

static __always_inline int l4_handle(l4_ctx *ctx, struct l4_work *work)
{
	struct l4_packet *p = &work->packet;
	int verdict;

	if (ctx->pkt_type != L4_PACKET_HOST || ctx->vlan_present)
		return L4_NOT_OURS;
	verdict = l4_parse(ctx, ctx->protocol, p);
	if (verdict != L4_GO)
		return verdict;
	if (p->fragment == L4_FRAGMENT_LATER)
		verdict = l4_fragment_find(p, work);
	else if (p->key.protocol == IPPROTO_ICMP || p->key.protocol == IPPROTO_ICMPV6)
		return l4_icmp_is_error(p) && !p->fragment ? l4_icmp_error(ctx, work) : L4_NOT_OURS;
	else
		verdict = l4_decide(ctx, work);
	if (verdict == L4_TO_ENDPOINT || verdict == L4_TO_CLIENT || verdict == L4_TO_ENDPOINT_STATELESS || verdict == L4_FRAGMENT)
		return l4_send(ctx, work, verdict);
	work->action = l4_answer(ctx, work, verdict, 0);
	return verdict;
}

SEC("tc")
int l4_tc(struct __sk_buff *ctx)
{
	struct l4_work *work = l4_work();
	int verdict;

	if (!work)
		return TC_ACT_UNSPEC;
	work->action = TC_ACT_UNSPEC;
	work->packet.segments = 1;
	work->packet.length = ctx->len - ETH_HLEN;
	verdict = l4_handle(ctx, work);
	l4_count(verdict, work->packet.segments, work->packet.length);
	return work->action;
}

char LICENSE[] SEC("license") = "GPL";
