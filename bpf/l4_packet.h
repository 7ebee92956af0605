// A packet's headers, read into one struct: what the rest of the program decides by. Nothing here writes.
// Bytes are read by helpers and not by pointer, so data that is not linear (skb fragments, jumbo XDP frames) needs no pulling.
// RFC 791, RFC 8200 section 4 (extension headers), RFC 9293, RFC 768.
#pragma once

#ifdef L4_XDP
#define L4_IS_XDP true
typedef struct xdp_md l4_ctx;
#define l4_load bpf_xdp_load_bytes
static __always_inline __u32 l4_frame_length(l4_ctx *ctx) { return bpf_xdp_get_buff_len(ctx); }
static __always_inline __u32 l4_segments(l4_ctx *ctx) { (void)ctx; return 1; }
static __always_inline __u32 l4_ingress(l4_ctx *ctx) { return ctx->ingress_ifindex; }
#else
#define L4_IS_XDP false
typedef struct __sk_buff l4_ctx;
#define l4_load bpf_skb_load_bytes
static __always_inline __u32 l4_frame_length(l4_ctx *ctx) { return ctx->len; }
static __always_inline __u32 l4_segments(l4_ctx *ctx) { return ctx->gso_segs ? ctx->gso_segs : 1; }
static __always_inline __u32 l4_ingress(l4_ctx *ctx) { return ctx->ifindex; }
#endif

#define L4_EINVAL 22
#define L4_EEXIST 17

#define L4_GO (-1) // no verdict yet

// A global function: the verifier checks it once, by itself, and not again for each path that leads to it. All the rest is inlined.
#define L4_SUBPROGRAM __attribute__((noinline))

#define L4_AF_INET 2
#define L4_AF_INET6 10

#define L4_TCP_FIN 0x01
#define L4_TCP_SYN 0x02
#define L4_TCP_RST 0x04
#define L4_TCP_ACK 0x10

// linux/icmp.h and linux/icmpv6.h bring libc's headers along.
enum { ICMP_DEST_UNREACH = 3, ICMP_TIME_EXCEEDED = 11, ICMP_PARAMETERPROB = 12 };
enum { ICMP_PORT_UNREACH = 3, ICMP_FRAG_NEEDED = 4 };
enum { ICMPV6_DEST_UNREACH = 1, ICMPV6_PKT_TOOBIG = 2, ICMPV6_TIME_EXCEED = 3, ICMPV6_PARAMPROB = 4 };
enum { ICMPV6_PORT_UNREACH = 4 };

#define L4_EXTENSIONS_MAX 6
#define L4_V4_MAPPED bpf_htonl(0xffff)

enum l4_fragment_kind { L4_WHOLE = 0, L4_FRAGMENT_FIRST = 1, L4_FRAGMENT_LATER = 2 };

struct l4_packet {
	struct l4_flow_key key; // ports are 0 of ICMP and of later fragments
	__u32 length;           // from the IP header on, without what Ethernet pads
	__u32 segments;         // packets on the wire that it stands for
	__u32 fragment_id;
	__u16 transport; // offset in the frame
	__u8 v6;
	__u8 ttl;
	__u8 tcp_flags;
	__u8 fragment;          // enum l4_fragment_kind
	__u8 fragment_protocol; // as the fragment header has it
	__u8 icmp_type;
	__u8 header; // bytes of the transport header
	__u8 zero[3];
};

struct l4_fragment_header { // RFC 8200 section 4.5
	__u8 next;
	__u8 reserved;
	__be16 offset;
	__be32 id;
};

// The Internet checksum's sum (RFC 1071), not complemented.
static __always_inline __u16 l4_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __always_inline bool l4_is_v4(const __u32 ip[4])
{
	return ip[2] == L4_V4_MAPPED && !ip[0] && !ip[1];
}

static __always_inline bool l4_ip_equal(const __u32 a[4], const __u32 b[4])
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

static __always_inline void l4_ip_copy(__u32 to[4], const __u32 from[4])
{
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
	to[3] = from[3];
}

static __always_inline void l4_ip_from_v4(__u32 to[4], __be32 v4)
{
	to[0] = 0;
	to[1] = 0;
	to[2] = L4_V4_MAPPED;
	to[3] = v4;
}

static __always_inline int l4_parse_transport(l4_ctx *ctx, struct l4_packet *p)
{
	__u32 room = p->length - (p->transport - ETH_HLEN);
	struct tcphdr tcp;
	struct udphdr udp;

	switch (p->key.protocol) {
	case IPPROTO_TCP:
		if (room < sizeof(tcp) || l4_load(ctx, p->transport, &tcp, sizeof(tcp)))
			return p->fragment ? L4_FRAGMENT_TINY : L4_MALFORMED;
		if (tcp.doff < 5 || tcp.doff * 4 > room)
			return p->fragment ? L4_FRAGMENT_TINY : L4_MALFORMED;
		p->key.source_port = tcp.source;
		p->key.dest_port = tcp.dest;
		p->tcp_flags = ((__u8 *)&tcp)[13];
		p->header = tcp.doff * 4;
		return L4_GO;
	case IPPROTO_UDP:
		if (room < sizeof(udp) || l4_load(ctx, p->transport, &udp, sizeof(udp)))
			return p->fragment ? L4_FRAGMENT_TINY : L4_MALFORMED;
		if (!p->fragment && p->segments == 1 && (bpf_ntohs(udp.len) < sizeof(udp) || bpf_ntohs(udp.len) > room))
			return L4_MALFORMED;
		p->key.source_port = udp.source;
		p->key.dest_port = udp.dest;
		p->header = sizeof(udp);
		return L4_GO;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if ((p->key.protocol == IPPROTO_ICMPV6) != p->v6)
			return L4_NOT_OURS;
		if (room < 8 || l4_load(ctx, p->transport, &p->icmp_type, 1))
			return L4_MALFORMED;
		return L4_GO;
	}
	return L4_NOT_OURS;
}

static __always_inline int l4_parse_v4(l4_ctx *ctx, struct l4_packet *p)
{
	__u32 frame = l4_frame_length(ctx) - ETH_HLEN;
	__u16 fragment;
	struct iphdr ip;

	if (l4_load(ctx, ETH_HLEN, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
		return L4_MALFORMED;
	p->length = bpf_ntohs(ip.tot_len);
	if (!p->length && p->segments > 1) // BIG TCP: more than the field holds
		p->length = frame;
	if (p->length > frame || p->length < ip.ihl * 4)
		return L4_MALFORMED;
	l4_ip_from_v4(p->key.source, ip.saddr);
	l4_ip_from_v4(p->key.dest, ip.daddr);
	p->key.protocol = ip.protocol;
	p->fragment_protocol = ip.protocol;
	p->fragment_id = ip.id;
	p->ttl = ip.ttl;
	p->transport = ETH_HLEN + ip.ihl * 4;
	fragment = bpf_ntohs(ip.frag_off);
	if (fragment & 0x1fff)
		p->fragment = L4_FRAGMENT_LATER;
	else if (fragment & 0x2000)
		p->fragment = L4_FRAGMENT_FIRST;
	return L4_GO;
}

static __always_inline int l4_parse_fragment_header(l4_ctx *ctx, struct l4_packet *p)
{
	struct l4_fragment_header fragment;

	if (l4_load(ctx, p->transport, &fragment, sizeof(fragment)))
		return L4_MALFORMED;
	p->key.protocol = fragment.next;
	p->fragment_protocol = fragment.next;
	p->fragment_id = fragment.id;
	p->transport += sizeof(fragment);
	if (bpf_ntohs(fragment.offset) & 0xfff8)
		p->fragment = L4_FRAGMENT_LATER;
	else if (fragment.offset & bpf_htons(1))
		p->fragment = L4_FRAGMENT_FIRST;
	return L4_GO;
}

static __always_inline int l4_parse_extensions(l4_ctx *ctx, struct l4_packet *p)
{
	struct { __u8 next, length; } extension;

	for (int i = 0; i < L4_EXTENSIONS_MAX; i++) {
		switch (p->key.protocol) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_DSTOPTS:
			if (l4_load(ctx, p->transport, &extension, sizeof(extension)))
				return L4_MALFORMED;
			p->key.protocol = extension.next;
			p->transport += (extension.length + 1) * 8;
			break;
		case IPPROTO_FRAGMENT:
			if (l4_parse_fragment_header(ctx, p) != L4_GO)
				return L4_MALFORMED;
			if (p->fragment == L4_FRAGMENT_LATER)
				return L4_GO;
			break;
		case IPPROTO_ROUTING: // its destination is not the last one's
		case IPPROTO_AH:
			return L4_HEADER_UNSUPPORTED;
		default:
			return L4_GO;
		}
	}
	return L4_HEADER_UNSUPPORTED;
}

static __always_inline int l4_parse_v6(l4_ctx *ctx, struct l4_packet *p)
{
	__u32 frame = l4_frame_length(ctx) - ETH_HLEN;
	struct ipv6hdr ip;
	int verdict;

	if (l4_load(ctx, ETH_HLEN, &ip, sizeof(ip)) || ip.version != 6)
		return L4_MALFORMED;
	p->length = bpf_ntohs(ip.payload_len) + sizeof(ip);
	if (p->length == sizeof(ip) && p->segments > 1)
		p->length = frame;
	if (p->length > frame)
		return L4_MALFORMED;
	l4_ip_copy(p->key.source, ip.saddr.in6_u.u6_addr32);
	l4_ip_copy(p->key.dest, ip.daddr.in6_u.u6_addr32);
	if (l4_is_v4(p->key.source) || l4_is_v4(p->key.dest)) // never on a wire (RFC 4038): it would read as IPv4 here
		return L4_MALFORMED;
	p->v6 = 1;
	p->key.protocol = ip.nexthdr;
	p->ttl = ip.hop_limit;
	p->transport = ETH_HLEN + sizeof(ip);
	verdict = l4_parse_extensions(ctx, p);
	if (verdict != L4_GO)
		return verdict;
	return p->transport - ETH_HLEN > p->length ? L4_MALFORMED : L4_GO;
}

// L4_GO, or the verdict on a packet that is not for us. `ethertype` in network order.
L4_SUBPROGRAM int l4_parse(l4_ctx *ctx, __u32 ethertype, struct l4_packet *p)
{
	int verdict = L4_NOT_OURS;

	if (!p)
		return L4_ACTION_FAILED;
	__builtin_memset(p, 0, sizeof(*p));
	p->segments = l4_segments(ctx);
	p->length = l4_frame_length(ctx) - ETH_HLEN;
	if (ethertype == bpf_htons(ETH_P_IP))
		verdict = l4_parse_v4(ctx, p);
	else if (ethertype == bpf_htons(ETH_P_IPV6))
		verdict = l4_parse_v6(ctx, p);
	if (verdict != L4_GO || p->fragment == L4_FRAGMENT_LATER)
		return verdict;
	return l4_parse_transport(ctx, p);
}
