// What a packet makes of its flow's state. A state only decides how long an idle flow is kept: packets of a flow that is closed
// or reset are still sent on until it is swept, so that a forged FIN or RST breaks nothing.
#pragma once

static __always_inline __u8 l4_state_of_client(const struct l4_flow *flow, __u8 tcp_flags)
{
	switch (flow->state) {
	case L4_SYN: // direct return: the answer went another way
		return (flow->flags & L4_FLOW_SINGLE) && !(tcp_flags & L4_TCP_SYN) ? L4_ESTABLISHED : L4_SYN;
	case L4_SYN_ACK:
		if (!(tcp_flags & L4_TCP_ACK))
			return L4_SYN_ACK;
		return tcp_flags & L4_TCP_FIN ? L4_FIN_CLIENT : L4_ESTABLISHED;
	case L4_ESTABLISHED:
		return tcp_flags & L4_TCP_FIN ? L4_FIN_CLIENT : L4_ESTABLISHED;
	case L4_FIN_ENDPOINT:
		return tcp_flags & L4_TCP_FIN ? L4_CLOSED : L4_FIN_ENDPOINT;
	}
	return flow->state;
}

static __always_inline __u8 l4_state_of_endpoint(const struct l4_flow *flow, __u8 tcp_flags)
{
	switch (flow->state) {
	case L4_SYN:
		return (tcp_flags & (L4_TCP_SYN | L4_TCP_ACK)) == (L4_TCP_SYN | L4_TCP_ACK) ? L4_SYN_ACK : L4_SYN;
	case L4_ESTABLISHED:
		return tcp_flags & L4_TCP_FIN ? L4_FIN_ENDPOINT : L4_ESTABLISHED;
	case L4_FIN_CLIENT:
		return tcp_flags & L4_TCP_FIN ? L4_CLOSED : L4_FIN_CLIENT;
	}
	return flow->state;
}

// `flow` is a copy and gets the new state and flags. Who sends on after its own RST never sent one: the flow lives.
static __always_inline void l4_advance_tcp(struct l4_flow *flow, __u8 tcp_flags)
{
	bool client = flow->flags & L4_FLOW_CLIENT;
	__u8 mine = client ? L4_FLOW_RESET_BY_CLIENT : L4_FLOW_RESET_BY_ENDPOINT;

	if (tcp_flags & L4_TCP_RST) {
		if (flow->state != L4_RESET)
			flow->flags |= mine;
		flow->state = L4_RESET;
	} else if (flow->state == L4_RESET) {
		if (flow->flags & mine) {
			flow->state = L4_ESTABLISHED;
			flow->flags &= ~mine;
		}
	} else {
		flow->state = client ? l4_state_of_client(flow, tcp_flags) : l4_state_of_endpoint(flow, tcp_flags);
	}
}

static __always_inline void l4_advance_udp(struct l4_flow *flow, __u32 tick)
{
	if (!(flow->flags & L4_FLOW_CLIENT)) {
		if (flow->state == L4_UDP_NEW)
			flow->state = L4_UDP_ANSWERED;
	} else if (flow->state == L4_UDP_ANSWERED || ((flow->flags & L4_FLOW_SINGLE) && tick != flow->opened)) {
		flow->state = L4_UDP_STREAM;
	}
}

static __always_inline __u32 l4_moment(void)
{
	return (__u32)(bpf_ktime_get_ns() >> L4_MOMENT_SHIFT) | 1;
}

// One side's FIN was seen.
static __always_inline bool l4_state_closing(__u8 state)
{
	return state == L4_FIN_CLIENT || state == L4_FIN_ENDPOINT;
}

static __always_inline bool l4_state_over(__u8 state)
{
	return state == L4_CLOSED || state == L4_RESET;
}

// The client answered the endpoint: the flow is no flood's.
static __always_inline bool l4_state_confirmed(__u8 state)
{
	return (state >= L4_ESTABLISHED && state < L4_CLOSED) || state == L4_UDP_STREAM;
}
