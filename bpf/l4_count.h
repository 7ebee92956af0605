// Counting: one verdict a packet, events besides, and traffic by service and endpoint. Per CPU, so nothing here is atomic.
#pragma once

static __always_inline void l4_count(__u32 reason, __u32 packets, __u32 bytes)
{
	struct l4_count *count = bpf_map_lookup_elem(&l4_reasons, &reason);

	if (!count)
		return;
	count->packets += packets;
	count->bytes += bytes;
}

static __always_inline void l4_event(__u32 reason)
{
	l4_count(reason, 1, 0);
}

// A macro, as the field's name is part of it: adds one to `field` of a service's and an endpoint's traffic.
#define l4_bump(service_index, endpoint_slot, field)                                                          \
	do {                                                                                                  \
		__u32 service_key = (service_index), endpoint_key = (endpoint_slot);                          \
		struct l4_traffic *t = bpf_map_lookup_elem(&l4_service_traffic, &service_key);                \
		if (t)                                                                                        \
			t->field++;                                                                           \
		t = bpf_map_lookup_elem(&l4_endpoint_traffic, &endpoint_key);                                 \
		if (t)                                                                                        \
			t->field++;                                                                           \
	} while (0)

static __always_inline void l4_traffic_add(struct l4_traffic *traffic, const struct l4_packet *p, bool to_endpoint)
{
	struct l4_count *count;

	if (!traffic)
		return;
	count = to_endpoint ? &traffic->to_endpoint : &traffic->to_client;
	count->packets += p->segments;
	count->bytes += p->length;
}

// A packet that was sent on.
static __always_inline void l4_count_sent(const struct l4_packet *p, const struct l4_flow *flow)
{
	bool to_endpoint = flow->flags & L4_FLOW_CLIENT;
	__u32 service = flow->service, endpoint = flow->endpoint;

	l4_traffic_add(bpf_map_lookup_elem(&l4_service_traffic, &service), p, to_endpoint);
	l4_traffic_add(bpf_map_lookup_elem(&l4_endpoint_traffic, &endpoint), p, to_endpoint);
}
