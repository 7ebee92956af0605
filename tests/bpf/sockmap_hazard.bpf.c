// SPDX-License-Identifier: GPL-2.0
// What an accelerated connection would do: bytes sent on one of two enrolled sockets are put into the other's queue, past TCP.
// Only for sockmap_hazard_test.cc, which shows why the product has no such program; docs/adr/0011.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

// Bytes that may go this way until the connection is TCP's for good; 0: no bound.
const volatile __u64 budget;

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} ends SEC(".maps");

__u64 redirected = 0;
__u64 passed = 0;

SEC("sk_msg")
int to_the_other(struct sk_msg_md *msg)
{
	const __u32 receiver = 1;

	if (passed || (budget && redirected + msg->size > budget)) {
		passed += msg->size;
		return SK_PASS;
	}
	redirected += msg->size;
	return bpf_msg_redirect_map(msg, &ends, receiver, BPF_F_INGRESS);
}
