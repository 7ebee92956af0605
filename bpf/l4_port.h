// The source towards the endpoint of a flow with NAT: this machine's address and a port that no other flow to that endpoint has.
// The reservation is the endpoint's entry itself, made only where there is none (BPF_NOEXIST), so two CPUs cannot both have it.
// A flow that is being confirmed is in l4_flows before it leaves l4_half_open: so l4_flows is looked at after the reservation.
#pragma once

#define L4_PORT_PROBES 128
#define L4_PORT_TRIES 3 // when what was found belongs to a socket of this machine

// 0, or -1 when another flow has this key. `work->other` and `work->back` are the entry.
static __always_inline int l4_reserve(struct l4_work *work)
{
	if (bpf_map_update_elem(&l4_half_open, &work->other, &work->back, BPF_NOEXIST))
		return -1;
	if (!bpf_map_lookup_elem(&l4_flows, &work->other))
		return 0;
	bpf_map_delete_elem(&l4_half_open, &work->other);
	return -1;
}

// Steps larger than any range and prime: each walks a whole range, whatever its size, and flows that begin at the same port part.
static __always_inline __u32 l4_port_step(__u32 hash)
{
	if (hash & 0x10000)
		return hash & 0x20000 ? 65537 : 65539;
	return hash & 0x20000 ? 65543 : 65551;
}

static __always_inline __be16 l4_port_at(__u32 index)
{
	__u32 ports = l4_ports, first = ports & 0xffff, last = ports >> 16;

	return bpf_htons(first + index % (last >= first ? last - first + 1 : 1));
}

#define L4_PORT_OF_OVER (~0u)

// How well a flow may lose its port to one that begins at `now`; 0: not at all. Best one that is over; else, of a flood, the one
// whose handshake, or question, is the oldest: a client that is real answers within a round trip. `opened` and `now` are ticks of
// UDP, moments of TCP; another CPU's may be later than ours.
static __always_inline __u32 l4_port_worth(__u8 state, __u32 opened, __u32 now)
{
	__s32 age = now - opened;

	if (l4_state_over(state))
		return L4_PORT_OF_OVER;
	if (state == L4_UDP_NEW || state == L4_UDP_ANSWERED)
		return age >= 1 ? age : 0;
	if (state > L4_SYN_ACK)
		return 0;
	if (!opened)
		age = L4_MOMENTS_REPEATED;
	return age >= L4_MOMENTS_HANDSHAKE ? age : 0;
}

static __always_inline void l4_port_note(struct l4_work *work, const struct l4_flow *held, __u32 index)
{
	__u32 worth = l4_port_worth(held->state, held->opened, work->flow.opened);

	if (worth <= work->port_worth)
		return;
	work->port_worth = worth;
	work->port_recycle = index + 1;
}

// One port: bpf_loop's callback, which ends the loop with 1. Remembers the one whose flow may best lose it. Nearly always the first
// port is free; of further ones it is cheaper to look before.
static long l4_port_probe(__u32 index, void *context)
{
	struct l4_work *work = l4_work();
	struct l4_flow *held = NULL;
	bool half_open;
	__u32 at;

	if (!work)
		return 1;
	at = work->port_start + index * work->port_step;
	work->other.dest_port = l4_port_at(at);
	if (index)
		held = l4_flow_find(&work->other, &half_open);
	if (held)
		l4_port_note(work, held, at);
	if (held || l4_reserve(work))
		return 0;
	*(bool *)context = true;
	return 1;
}

// Takes a port from the flow that may lose it, whose entries go. Two CPUs that want the same: the second would delete what the first
// has reserved, so it gets none. The endpoint's entry only goes from the table it is in: as soon as it is gone another CPU may
// reserve the port in l4_half_open, and that is not ours to delete.
static __always_inline int l4_port_recycle(struct l4_work *work)
{
	struct l4_flow_key client = {};
	struct l4_flow *held;
	union l4_life seen;
	bool half_open;

	if (!work->port_recycle)
		return -1;
	work->other.dest_port = l4_port_at(work->port_recycle - 1);
	held = l4_flow_find(&work->other, &half_open);
	if (held) {
		seen = l4_life_of(held);
		if (!l4_port_worth(seen.of.state, seen.of.opened, work->flow.opened) || !l4_flow_claim(held, seen))
			return -1;
		l4_key_of_other(&client, held, work->other.protocol);
		bpf_map_delete_elem(&l4_flows, &client);
		bpf_map_delete_elem(&l4_half_open, &client);
		if (half_open)
			bpf_map_delete_elem(&l4_half_open, &work->other);
		else
			bpf_map_delete_elem(&l4_flows, &work->other);
	}
	if (l4_reserve(work))
		return -1;
	l4_event(work->port_worth == L4_PORT_OF_OVER ? L4_EVENT_PORT_RECYCLED : L4_EVENT_HALF_OPEN_DISPLACED);
	return 0;
}

// Whether a socket of this machine would get the packets of `key`: one that is connected so or, if `listening`, one that listens
// on that port.
static __always_inline bool l4_socket_has(l4_ctx *ctx, const struct l4_flow_key *key, bool v6, bool listening)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size = v6 ? sizeof(tuple.ipv6) : sizeof(tuple.ipv4);
	struct bpf_sock *socket;
	bool found = true;

	if (v6) {
		l4_ip_copy(tuple.ipv6.saddr, key->source);
		l4_ip_copy(tuple.ipv6.daddr, key->dest);
		tuple.ipv6.sport = key->source_port;
		tuple.ipv6.dport = key->dest_port;
	} else {
		tuple.ipv4.saddr = key->source[3];
		tuple.ipv4.daddr = key->dest[3];
		tuple.ipv4.sport = key->source_port;
		tuple.ipv4.dport = key->dest_port;
	}
	if (key->protocol == IPPROTO_UDP) {
		socket = bpf_sk_lookup_udp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
		if (!socket)
			return false;
	} else {
		socket = bpf_skc_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
		if (!socket)
			return false;
		found = listening || socket->state != BPF_TCP_LISTEN;
	}
	bpf_sk_release(socket);
	return found;
}

// Reserves a port and sets it in the work's entries: 0, or -1 when there is none.
static __always_inline int l4_port_take(l4_ctx *ctx, const struct l4_packet *p, struct l4_work *work)
{
	__u32 hash = l4_hash(&p->key, options.hash_seed + 1);

	work->port_start = hash & 0xffff;
	work->port_step = l4_port_step(hash);
	for (int i = 0; i < L4_PORT_TRIES; i++) {
		bool found = false;

		work->port_recycle = work->port_worth = 0;
		bpf_loop(L4_PORT_PROBES, l4_port_probe, &found, 0);
		if (!found && l4_port_recycle(work)) {
			if (!work->port_recycle)
				return -1;
			work->port_start = work->port_recycle - 1 + work->port_step; // another CPU took that one: on behind it
			continue;
		}
		if (!(options.flags & L4_OPTION_SOCKETS) || !l4_socket_has(ctx, &work->other, p->v6, true)) {
			work->flow.source_port = work->other.dest_port;
			return 0;
		}
		bpf_map_delete_elem(&l4_half_open, &work->other);
		l4_event(L4_EVENT_PORT_LOCAL);
		work->port_start += work->port_step; // the same way again, one further: the rest of what was looked at is taken
	}
	return -1;
}
