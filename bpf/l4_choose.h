// Which endpoint a new flow gets: the service's Maglev table, indexed by a hash of the packet's addresses. The same packet has
// the same answer on every balancer with the same table, which is what direct return without a known flow relies on.
#pragma once

#define L4_CHOICES_MAX 16 // entries looked at until a READY endpoint is found

// Multiply and fold, then the finalizer of MurmurHash3: every bit of the key reaches every bit of the index.
static __always_inline __u32 l4_hash(const struct l4_flow_key *key, __u32 seed)
{
	const __u32 *words = (const __u32 *)key;
	__u32 hash = seed;

	for (int i = 0; i < (int)(sizeof(*key) / 4); i++) {
		hash = (hash ^ words[i]) * 0x9e3779b1;
		hash ^= hash >> 15;
	}
	hash *= 0x85ebca6b;
	hash ^= hash >> 13;
	hash *= 0xc2b2ae35;
	return hash ^ hash >> 16;
}

static __always_inline bool l4_endpoint_serves(const struct l4_endpoint *endpoint, const struct l4_packet *p)
{
	return endpoint->state == L4_READY && l4_is_v4(endpoint->ip) != p->v6;
}

// The endpoint's slot, 0 without one.
L4_SUBPROGRAM __u32 l4_choose(struct l4_packet *p, __u32 service)
{
	__u32 zero = 0, index;
	void *inner = bpf_map_lookup_elem(&l4_tables, &service);
	struct l4_endpoint *endpoint;
	struct l4_table *table;

	table = inner ? bpf_map_lookup_elem(inner, &zero) : NULL;
	if (!table || !p)
		return 0;
	index = ((__u64)l4_hash(&p->key, options.hash_seed) * L4_TABLE_SIZE) >> 32;
	for (int i = 0; i < L4_CHOICES_MAX; i++) {
		__u32 slot;

		barrier_var(index);
		if (index >= L4_TABLE_SIZE)
			index = 0;
		slot = table->endpoint[index++];
		if (!slot) // the whole table is empty
			return 0;
		endpoint = bpf_map_lookup_elem(&l4_endpoints, &slot);
		if (endpoint && l4_endpoint_serves(endpoint, p)) {
			if (i)
				l4_event(L4_EVENT_NOT_READY);
			return slot;
		}
	}
	return 0;
}
