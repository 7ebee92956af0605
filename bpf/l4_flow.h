// Flows: found, made, confirmed and dropped, always as a pair; bpf/lb_abi.h describes the entries and the two tables.
#pragma once

static __always_inline void l4_key_of_other(struct l4_flow_key *other, const struct l4_flow *flow, __u8 protocol)
{
	l4_ip_copy(other->source, flow->dest);
	l4_ip_copy(other->dest, flow->source);
	other->source_port = flow->dest_port;
	other->dest_port = flow->source_port;
	other->protocol = protocol;
	other->zero[0] = other->zero[1] = other->zero[2] = 0;
}

// The entry of a key, and whether it is not confirmed yet.
static __always_inline struct l4_flow *l4_flow_find(const struct l4_flow_key *key, bool *half_open)
{
	struct l4_flow *flow = bpf_map_lookup_elem(&l4_flows, key);

	*half_open = false;
	if (flow)
		return flow;
	*half_open = true;
	return bpf_map_lookup_elem(&l4_half_open, key);
}

static __always_inline void l4_flow_drop(const struct l4_flow_key *key, struct l4_work *work)
{
	bpf_map_delete_elem(&l4_flows, key);
	bpf_map_delete_elem(&l4_half_open, key);
	if (work->flow.flags & L4_FLOW_SINGLE)
		return;
	l4_key_of_other(&work->other, &work->flow, key->protocol);
	bpf_map_delete_elem(&l4_flows, &work->other);
	bpf_map_delete_elem(&l4_half_open, &work->other);
}

// What both sides' CPUs, and one that wants the port, write of an entry: the end of struct l4_flow, changed in one step.
union l4_life {
	struct {
		__u16 service;
		__u8 state;
		__u8 flags;
		__u32 opened;
	} of;
	__u64 word;
};

static __always_inline union l4_life l4_life_of(const struct l4_flow *entry)
{
	union l4_life life;

	life.word = *(const volatile __u64 *)&entry->service;
	return life;
}

// Whether `entry` lived as in `old` until now, and does as in `changed` from now on.
static __always_inline bool l4_life_change(struct l4_flow *entry, union l4_life old, union l4_life changed)
{
	return __sync_val_compare_and_swap((__u64 *)&entry->service, old.word, changed.word) == old.word;
}

// Whether this CPU, and no other, may end the flow that was seen as `seen` and take its port. The entry's memory may be another
// flow's by now: that one began at another moment.
static __always_inline bool l4_flow_claim(struct l4_flow *entry, union l4_life seen)
{
	union l4_life taken = seen;

	taken.of.flags |= L4_FLOW_TAKEN;
	return !(seen.of.flags & L4_FLOW_TAKEN) && l4_life_change(entry, seen, taken);
}

// How `old` goes on when the flow's state becomes that of `now`. Both FINs make it closed, whoever comes first, and a FIN does not
// change what is over.
static __always_inline union l4_life l4_life_next(union l4_life old, const struct l4_flow *now)
{
	union l4_life next = old;

	if (!l4_state_closing(now->state) && now->state != L4_CLOSED) {
		next.of.state = now->state;
		next.of.opened = now->opened;
		next.of.flags = (old.of.flags & L4_FLOW_CLIENT) | (now->flags & ~L4_FLOW_CLIENT);
	} else if (!l4_state_over(old.of.state) && old.of.state != now->state) {
		next.of.state = l4_state_closing(old.of.state) ? L4_CLOSED : now->state;
	}
	return next;
}

// Two CPUs, one a side, cannot get in each other's way more than twice. What is taken stays so: its entries go.
static __always_inline void l4_flow_live_on(struct l4_flow *entry, const struct l4_flow *now)
{
	for (int i = 0; i < 3; i++) {
		union l4_life old = l4_life_of(entry), next = l4_life_next(old, now);

		if ((old.of.flags & L4_FLOW_TAKEN) || next.word == old.word || l4_life_change(entry, old, next))
			return;
	}
}

// Writes a changed state to the flow's entry and to its other side's.
static __always_inline void l4_flow_write_state(struct l4_flow *entry, struct l4_work *work, __u8 protocol)
{
	struct l4_flow *other;
	bool half_open;

	l4_flow_live_on(entry, &work->flow);
	if (work->flow.flags & L4_FLOW_SINGLE)
		return;
	l4_key_of_other(&work->other, &work->flow, protocol);
	other = l4_flow_find(&work->other, &half_open);
	if (other)
		l4_flow_live_on(other, &work->flow);
}

// The other side's entry of the packet `key`, whose flow is work->flow.
static __always_inline void l4_flow_mirror(struct l4_work *work, const struct l4_flow_key *key)
{
	work->back = work->flow;
	l4_ip_copy(work->back.source, key->dest);
	l4_ip_copy(work->back.dest, key->source);
	work->back.source_port = key->dest_port;
	work->back.dest_port = key->source_port;
	work->back.flags ^= L4_FLOW_CLIENT;
}

static __always_inline bool l4_flow_is_back(const struct l4_flow *held, const struct l4_work *work)
{
	return held->dest_port == work->back.dest_port && l4_ip_equal(held->dest, work->back.dest) &&
	       l4_ip_equal(held->source, work->back.source) && held->source_port == work->back.source_port;
}

// Moves the client's flow to the table of confirmed ones. 0, or -1 when its port went to another while it waited (it was pushed
// out of l4_half_open on one side): the flow cannot go on. Full: it stays where it is.
static __always_inline int l4_flow_promote(const struct l4_flow_key *key, struct l4_work *work)
{
	struct l4_flow *held;
	long error;

	if (!(work->flow.flags & L4_FLOW_SINGLE)) {
		l4_key_of_other(&work->other, &work->flow, key->protocol);
		l4_flow_mirror(work, key);
		held = bpf_map_lookup_elem(&l4_half_open, &work->other);
		if (held && !l4_flow_is_back(held, work))
			return -1;
		error = bpf_map_update_elem(&l4_flows, &work->other, &work->back, BPF_NOEXIST);
		if (error == -L4_EEXIST) { // another CPU confirms the same flow, or the port is another's
			held = bpf_map_lookup_elem(&l4_flows, &work->other);
			return held && l4_flow_is_back(held, work) ? 0 : -1;
		}
		if (error) {
			l4_event(L4_EVENT_TABLE_FULL);
			return 0;
		}
	}
	error = bpf_map_update_elem(&l4_flows, key, &work->flow, BPF_ANY);
	if (error) {
		if (!(work->flow.flags & L4_FLOW_SINGLE))
			bpf_map_delete_elem(&l4_flows, &work->other);
		l4_event(L4_EVENT_TABLE_FULL);
		return 0;
	}
	bpf_map_delete_elem(&l4_half_open, key);
	if (!(work->flow.flags & L4_FLOW_SINGLE))
		bpf_map_delete_elem(&l4_half_open, &work->other);
	l4_event(L4_EVENT_PROMOTED);
	return 0;
}
