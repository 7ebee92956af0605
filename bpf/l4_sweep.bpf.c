// SPDX-License-Identifier: GPL-2.0
// Ends flows whose time is over. User space goes over the tables and finds them, in copies; this program looks at each entry as it is
// now and ends it as the programs that see packets do: it is claimed first (L4_FLOW_TAKEN), so that no two take the same port, and what
// a packet has touched since stays. Run by BPF_PROG_TEST_RUN, hundreds of flows a call (dataplane/kernel/flow_ender.h).
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
#include "bpf/l4_flow.h"
// clang-format on

struct l4_over overs[L4_OVERS_MAX];
__u32 overs_count;

static __always_inline struct l4_flow *l4_sweep_find(bool half_open, const struct l4_flow_key *key)
{
	return half_open ? bpf_map_lookup_elem(&l4_half_open, key) : bpf_map_lookup_elem(&l4_flows, key);
}

// Of a pair, or the key has got another flow's entry since.
static __always_inline bool l4_sweep_is_pair(const struct l4_flow_key *key, const struct l4_flow *other)
{
	return other->dest_port == key->source_port && other->source_port == key->dest_port && l4_ip_equal(other->dest, key->source) &&
	       l4_ip_equal(other->source, key->dest);
}

// Deletes the flow that began at `opened`: the key may have another one by now, of a new SYN.
static __always_inline void l4_sweep_delete(bool half_open, const struct l4_flow_key *key, __u32 opened)
{
	struct l4_flow *flow = l4_sweep_find(half_open, key);

	if (!flow || l4_life_of(flow).of.opened != opened)
		return;
	if (half_open)
		bpf_map_delete_elem(&l4_half_open, key);
	else
		bpf_map_delete_elem(&l4_flows, key);
}

// Whoever ends a pair claims the endpoint's side, which holds the port. An entry that was seen taken when the tables were gone over,
// and still is there, was copied by a packet while it was ended: nobody else will.
static __always_inline enum l4_ended l4_sweep_end(const struct l4_over *over)
{
	struct l4_flow *entry = l4_sweep_find(over->half_open, &over->key), *other = NULL, *claimed;
	union l4_life seen = {.word = over->life}, life;
	struct l4_flow_key key = {};
	bool half_open = false;

	if (!entry || l4_life_of(entry).word != seen.word || entry->tick >= over->fresh_from)
		return L4_NOT_ENDED;
	if (!(seen.of.flags & L4_FLOW_SINGLE)) {
		l4_key_of_other(&key, entry, over->key.protocol);
		other = l4_flow_find(&key, &half_open);
		if (other && !l4_sweep_is_pair(&over->key, other))
			other = NULL;
	}
	if (other && (!(seen.of.flags & L4_FLOW_CLIENT) || other->tick >= over->fresh_from))
		return L4_NOT_ENDED;
	claimed = other ? other : entry;
	life = l4_life_of(claimed);
	if (!(seen.of.flags & L4_FLOW_TAKEN) && !l4_flow_claim(claimed, life))
		return L4_NOT_ENDED;
	l4_sweep_delete(over->half_open, &over->key, seen.of.opened);
	if (other)
		l4_sweep_delete(half_open, &key, life.of.opened);
	return seen.of.flags & L4_FLOW_CLIENT ? L4_ENDED : L4_REST_ENDED;
}

static long l4_sweep_one(__u32 index, void *context)
{
	(void)context;
	if (index >= L4_OVERS_MAX)
		return 1;
	overs[index].ended = l4_sweep_end(&overs[index]);
	return 0;
}

SEC("syscall")
int l4_sweep(void *context)
{
	(void)context;
	bpf_loop(overs_count, l4_sweep_one, NULL, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
