// The handshake's round trips, measured between a SYN and its SYN-ACK and between that and the client's ACK: of every connection,
// at the price of a clock reading for each of its first three packets. bpf/lb_abi.h, struct l4_round_trip.
#pragma once

// A macro for the field's name, as l4_bump.
#define l4_round_trip_add(flow, field, passed)                                                                \
	do {                                                                                                  \
		__u32 service_key = (flow)->service, endpoint_key = (flow)->endpoint;                         \
		struct l4_traffic *t = bpf_map_lookup_elem(&l4_service_traffic, &service_key);                \
		if (t) {                                                                                      \
			t->field.samples++;                                                                   \
			t->field.sum += (passed);                                                             \
		}                                                                                             \
		t = bpf_map_lookup_elem(&l4_endpoint_traffic, &endpoint_key);                                 \
		if (t) {                                                                                      \
			t->field.samples++;                                                                   \
			t->field.sum += (passed);                                                             \
		}                                                                                             \
	} while (0)

// `flow` is a copy that is in its new state; it was in state `before`. True when its moment changed: both sides must get it.
static __always_inline bool l4_handshake_step(struct l4_flow *flow, __u8 before, __u8 tcp_flags)
{
	bool client = flow->flags & L4_FLOW_CLIENT;
	__u32 now, passed;

	if (before > L4_SYN_ACK || (flow->flags & L4_FLOW_SINGLE))
		return false;
	now = l4_moment();
	passed = now - flow->opened;
	if (flow->state == before) {
		if (!(tcp_flags & L4_TCP_SYN) || !flow->opened || passed < L4_MOMENTS_REPEAT)
			return false;
		if (client)
			l4_bump(flow->service, flow->endpoint, syn_repeated);
		flow->opened = 0;
		return true;
	}
	if (flow->opened && passed < L4_MOMENTS_MAX) {
		if (flow->state == L4_SYN_ACK)
			l4_round_trip_add(flow, endpoint_rtt, passed);
		else if (before == L4_SYN_ACK && client && flow->state != L4_RESET)
			l4_round_trip_add(flow, client_rtt, passed);
	}
	flow->opened = now;
	return true;
}
