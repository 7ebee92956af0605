// tc: fragments. The first one has the ports and is treated as any packet; what it was translated to is kept for those that
// follow, by the addresses and the identification. One that comes before its first goes to this machine's stack, which knows
// nothing of it: the sender's retry, or a transport that finds the path MTU, repairs that. RFC 791 3.2, RFC 8200 4.5.
#pragma once

static __always_inline void l4_fragment_key_of(const struct l4_packet *p, struct l4_fragment_key *key)
{
	l4_ip_copy(key->source, p->key.source);
	l4_ip_copy(key->dest, p->key.dest);
	key->id = p->fragment_id;
	key->protocol = p->fragment_protocol;
}

static __always_inline void l4_fragment_keep(const struct l4_packet *p, const struct l4_flow *flow)
{
	struct l4_fragment_key key;
	struct l4_fragment kept = {};

	l4_fragment_key_of(p, &key);
	l4_ip_copy(kept.source, flow->source);
	l4_ip_copy(kept.dest, flow->dest);
	kept.endpoint = flow->endpoint;
	kept.generation = flow->generation;
	kept.service = flow->service;
	kept.flags = flow->flags;
	kept.tick = flow->tick;
	bpf_map_update_elem(&l4_fragments, &key, &kept, BPF_ANY);
}

#define L4_FRAGMENT_TICKS 30 // as long as a receiver waits for the rest (RFC 8200: 60 s at most)

// A later fragment: L4_FRAGMENT with work->flow set.
static __always_inline int l4_fragment_find(const struct l4_packet *p, struct l4_work *work)
{
	struct l4_fragment_key key;
	struct l4_fragment *kept;

	l4_fragment_key_of(p, &key);
	kept = bpf_map_lookup_elem(&l4_fragments, &key);
	if (!kept || l4_tick() - kept->tick > L4_FRAGMENT_TICKS)
		return L4_FRAGMENT_UNKNOWN;
	__builtin_memset(&work->flow, 0, sizeof(work->flow));
	l4_ip_copy(work->flow.source, kept->source);
	l4_ip_copy(work->flow.dest, kept->dest);
	work->flow.endpoint = kept->endpoint;
	work->flow.generation = kept->generation;
	work->flow.service = kept->service;
	work->flow.flags = kept->flags;
	return L4_FRAGMENT;
}
