// SPDX-License-Identifier: GPL-2.0
// The packet delivery in XDP: the same decision as l4_tc, before the kernel has made an skb of the packet. Forwards what is plain:
// a whole packet of a flow, old or new, whose way out is known. All else goes to l4_tc as it came, which must be attached to
// the same interface: answers of our own, ICMP errors, fragments, endpoints that died, neighbours not resolved yet, MTU.
// Verdicts and maps: bpf/lb_abi.h.
#define L4_XDP
#include "bpf/l4.h"

#include "bpf/l4_xdp_rewrite.h"

// Interfaces that take redirected frames; elsewhere the kernel drops them without a word. User space writes it.
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, XDP_PORTS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xdp_ports SEC(".maps");

// A frame of several buffers asks more of the driver than ndo_xdp_xmit.
static __always_inline bool l4_xdp_may_redirect(l4_ctx *ctx, __u32 ifindex)
{
	return bpf_map_lookup_elem(&xdp_ports, &ifindex) && bpf_xdp_get_buff_len(ctx) == ctx->data_end - ctx->data;
}

// L4_GO with the next hop in *fib.
L4_SUBPROGRAM int l4_xdp_route(l4_ctx *ctx, struct l4_work *work, struct bpf_fib_lookup *fib)
{
	struct l4_packet *p = &work->packet;
	struct l4_flow *flow = &work->flow;
	__u32 ingress = ctx->ingress_ifindex;

	if (!work || !fib)
		return L4_XDP_HANDED_ON;
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->family = p->v6 ? L4_AF_INET6 : L4_AF_INET;
	fib->l4_protocol = p->key.protocol;
	fib->sport = flow->source_port;
	fib->dport = flow->dest_port;
	fib->tot_len = p->length > 0xffff ? 0xffff : p->length;
	fib->ifindex = ingress;
	if (p->v6) {
		l4_ip_copy(fib->ipv6_src, flow->source);
		l4_ip_copy(fib->ipv6_dst, flow->dest);
	} else {
		fib->ipv4_src = flow->source[3];
		fib->ipv4_dst = flow->dest[3];
	}
	if (bpf_fib_lookup(ctx, fib, sizeof(*fib), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return L4_XDP_HANDED_ON;
	if (fib->ifindex != ingress && !l4_xdp_may_redirect(ctx, fib->ifindex))
		return L4_XDP_HANDED_ON;
	if (!(flow->flags & L4_FLOW_PLAIN))
		return p->ttl <= 1 ? L4_XDP_HANDED_ON : L4_GO;
	// Direct return is by MAC address: through a router the packet would come back to us.
	if (p->v6 ? !l4_ip_equal(fib->ipv6_dst, flow->dest) : fib->family != L4_AF_INET || fib->ipv4_dst != flow->dest[3])
		return L4_XDP_HANDED_ON;
	return L4_GO;
}

static __always_inline int l4_xdp_send(l4_ctx *ctx, struct l4_work *work, int verdict)
{
	struct bpf_fib_lookup fib = {};
	struct ethhdr ethernet;
	__u32 ingress = ctx->ingress_ifindex;

	if (l4_xdp_route(ctx, work, &fib) != L4_GO)
		return L4_XDP_HANDED_ON;
	work->action = XDP_DROP;
	if (!(work->flow.flags & L4_FLOW_PLAIN) && l4_xdp_rewrite(ctx, work))
		return L4_ACTION_FAILED;
	__builtin_memcpy(ethernet.h_dest, fib.dmac, ETH_ALEN);
	__builtin_memcpy(ethernet.h_source, fib.smac, ETH_ALEN);
	ethernet.h_proto = work->packet.v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	if (bpf_xdp_store_bytes(ctx, 0, &ethernet, sizeof(ethernet)))
		return L4_ACTION_FAILED;
	l4_count_sent(&work->packet, &work->flow);
	work->action = fib.ifindex == ingress ? XDP_TX : bpf_redirect_map(&xdp_ports, fib.ifindex, 0);
	return verdict;
}

static __always_inline int l4_xdp_handle(l4_ctx *ctx, struct l4_work *work)
{
	struct l4_packet *p = &work->packet;
	struct ethhdr ethernet;
	int verdict;

	if (bpf_xdp_load_bytes(ctx, 0, &ethernet, sizeof(ethernet)) || ethernet.h_dest[0] & 1) // not to a group
		return L4_XDP_HANDED_ON;
	verdict = l4_parse(ctx, ethernet.h_proto, p);
	if (verdict != L4_GO || p->fragment || p->key.protocol == IPPROTO_ICMP || p->key.protocol == IPPROTO_ICMPV6)
		return L4_XDP_HANDED_ON;
	verdict = l4_decide(ctx, work);
	if (verdict == L4_TO_ENDPOINT || verdict == L4_TO_CLIENT || verdict == L4_TO_ENDPOINT_STATELESS)
		return l4_xdp_send(ctx, work, verdict);
	return verdict == L4_SILENCED ? verdict : L4_XDP_HANDED_ON;
}

SEC("xdp.frags")
int l4_xdp(struct xdp_md *ctx)
{
	struct l4_work *work = l4_work();
	int verdict;

	if (!work)
		return XDP_PASS;
	work->action = XDP_PASS;
	work->packet.length = 0;
	work->packet.segments = 1;
	verdict = l4_xdp_handle(ctx, work);
	if (verdict == L4_SILENCED)
		work->action = XDP_DROP;
	l4_count(verdict, 1, work->packet.length);
	return work->action;
}

char LICENSE[] SEC("license") = "GPL";
