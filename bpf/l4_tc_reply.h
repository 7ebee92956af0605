// tc: answers made out of the packet itself, sent back by the way it came. TCP is refused with RST (RFC 9293 3.10.7.1), UDP with
// port unreachable; a packet that is too big or too old gets what a router says (RFC 792, 1191, 4443). One answer a packet,
// never larger than it by more than the ICMP header; none to a RST or an ICMP error.
// A local sender may have left the packet's checksum to a device (CHECKSUM_PARTIAL): its field holds the folded pseudo header
// alone. That cannot be asked, only seen: where it is so, what we write must leave the rest to the device too.
#pragma once

#define L4_REPLY_TTL 64
#define L4_INNER_MAX 128 // bytes of the original in an ICMP error

// Not complemented. The order of source and destination makes no difference.
static __always_inline __u64 l4_pseudo_sum(const struct l4_packet *p, __u32 length, __u8 protocol)
{
	__u64 sum = bpf_htonl(length) + (__u64)bpf_htonl(protocol);

	if (!p->v6)
		return sum + p->key.source[3] + p->key.dest[3];
	for (int i = 0; i < 4; i++)
		sum += (__u64)p->key.source[i] + p->key.dest[i];
	return sum;
}

static __always_inline __u32 l4_transport_length(const struct l4_packet *p)
{
	return p->length - (p->transport - ETH_HLEN);
}

static __always_inline bool l4_sum_is_partial(const struct l4_packet *p, __be16 check)
{
	return check && check == l4_fold(l4_pseudo_sum(p, l4_transport_length(p), p->key.protocol));
}

static __always_inline long l4_reply_ethernet(l4_ctx *ctx)
{
	__u8 macs[2 * ETH_ALEN], swapped[2 * ETH_ALEN];

	if (bpf_skb_load_bytes(ctx, 0, macs, sizeof(macs)))
		return -1;
	__builtin_memcpy(swapped, macs + ETH_ALEN, ETH_ALEN);
	__builtin_memcpy(swapped + ETH_ALEN, macs, ETH_ALEN);
	return bpf_skb_store_bytes(ctx, 0, swapped, sizeof(swapped), 0);
}

// A network header from the packet's destination to its source, at the frame's start; options of the original are not repeated
// by ICMP (`options_length` 0) and stay in place for RST, whose transport header must not move.
static __always_inline long l4_reply_v4(l4_ctx *ctx, const struct l4_packet *p, __u32 header_length, __u32 payload, __u8 protocol)
{
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = L4_REPLY_TTL, .protocol = protocol };

	ip.tot_len = bpf_htons(header_length + payload);
	ip.frag_off = bpf_htons(0x4000);
	ip.saddr = p->key.dest[3];
	ip.daddr = p->key.source[3];
	if (header_length > sizeof(ip)) { // no-operations where the original's options are
		__u32 noop = 0x01010101;

		ip.ihl = header_length / 4;
		for (int i = 0; i < 10; i++) {
			if (sizeof(ip) + i * 4 >= header_length)
				break;
			if (bpf_skb_store_bytes(ctx, ETH_HLEN + sizeof(ip) + i * 4, &noop, 4, BPF_F_RECOMPUTE_CSUM))
				return -1;
		}
		ip.check = ~l4_fold(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0) +
				    (__u64)noop * ((header_length - sizeof(ip)) / 4));
	} else {
		ip.check = ~l4_fold(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
	}
	return bpf_skb_store_bytes(ctx, ETH_HLEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM);
}

static __always_inline long l4_reply_v6(l4_ctx *ctx, const struct l4_packet *p, __u32 payload, __u8 next)
{
	struct ipv6hdr ip = { .version = 6, .hop_limit = L4_REPLY_TTL, .nexthdr = next };

	ip.payload_len = bpf_htons(payload);
	l4_ip_copy(ip.saddr.in6_u.u6_addr32, p->key.dest);
	l4_ip_copy(ip.daddr.in6_u.u6_addr32, p->key.source);
	return bpf_skb_store_bytes(ctx, ETH_HLEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM);
}

static __always_inline int l4_reply_send(l4_ctx *ctx)
{
	return l4_reply_ethernet(ctx) ? TC_ACT_SHOT : bpf_redirect(ctx->ifindex, 0);
}

static __always_inline void l4_rst_header(const struct l4_packet *p, const struct tcphdr *in, struct tcphdr *out)
{
	__u32 length = l4_transport_length(p) - in->doff * 4 + in->syn + in->fin;

	__builtin_memset(out, 0, sizeof(*out));
	out->source = in->dest;
	out->dest = in->source;
	out->doff = sizeof(*out) / 4;
	out->rst = 1;
	if (in->ack) {
		out->seq = in->ack_seq;
	} else {
		out->ack = 1;
		out->ack_seq = bpf_htonl(bpf_ntohl(in->seq) + length);
	}
}

L4_SUBPROGRAM int l4_reply_rst(l4_ctx *ctx, struct l4_packet *p)
{
	struct tcphdr in, out;
	__u64 sum;
	bool partial;

	if (!p || p->tcp_flags & L4_TCP_RST)
		return TC_ACT_SHOT;
	// An IPv6 extension header would have to be taken out: the stack has no such connection either, and says so.
	if (p->v6 && p->transport != ETH_HLEN + sizeof(struct ipv6hdr))
		return TC_ACT_SHOT;
	if (bpf_skb_load_bytes(ctx, p->transport, &in, sizeof(in)))
		return TC_ACT_SHOT;
	partial = l4_sum_is_partial(p, in.check);
	l4_rst_header(p, &in, &out);
	sum = l4_pseudo_sum(p, sizeof(out), IPPROTO_TCP);
	out.check = partial ? l4_fold(sum) : ~l4_fold(sum + (__u32)bpf_csum_diff(NULL, 0, (__be32 *)&out, sizeof(out), 0));
	if (bpf_skb_change_tail(ctx, p->transport + sizeof(out), 0))
		return TC_ACT_SHOT;
	if (bpf_skb_store_bytes(ctx, p->transport, &out, sizeof(out), BPF_F_RECOMPUTE_CSUM))
		return TC_ACT_SHOT;
	if (p->v6 ? l4_reply_v6(ctx, p, sizeof(out), IPPROTO_TCP)
		  : l4_reply_v4(ctx, p, p->transport - ETH_HLEN, sizeof(out), IPPROTO_TCP))
		return TC_ACT_SHOT;
	return l4_reply_send(ctx);
}
