// SPDX-License-Identifier: GPL-2.0
// Which worker's listening socket gets a new connection: that of the worker on the CPU that took the packet, when it has hardly
// more to do than others, else the one with the fewest sessions. Runs once a SYN. What it cannot decide (a worker's socket is
// not in the array, as while a successor takes them over) is left to the kernel's hash.
// Kernel: net/core/sock_reuseport.c, BPF_PROG_TYPE_SK_REUSEPORT.
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "bpf/lb_abi.h"

char LICENSE[] SEC("license") = "GPL";

const volatile struct steer_options options;

struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, STEER_WORKERS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} steer_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, STEER_WORKERS_MAX);
	__type(key, __u32);
	__type(value, struct steer_worker);
} steer_load SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STEER_REASONS);
	__type(key, __u32);
	__type(value, __u64);
} steer_reasons SEC(".maps");

#define NOBODY (~0ull)

// Open sessions, and connections that were given and not accepted yet.
static __always_inline __u64 load_of(__u32 worker)
{
	const struct steer_worker *entry = bpf_map_lookup_elem(&steer_load, &worker);
	__u64 sessions;
	__s32 pending;

	if (!entry)
		return NOBODY;
	sessions = entry->sessions;
	pending = entry->given - (__u32)(sessions >> 32); /* below 0: it took some that were not given here */
	return (__u64)(__u32)sessions + (pending > 0 ? pending : 0);
}

static __always_inline bool give(struct sk_reuseport_md *ctx, __u32 worker, __u32 reason)
{
	struct steer_worker *entry = bpf_map_lookup_elem(&steer_load, &worker);
	__u64 *count = bpf_map_lookup_elem(&steer_reasons, &reason);

	if (bpf_sk_select_reuseport(ctx, &steer_sockets, &worker, 0))
		return false;
	if (entry)
		__sync_fetch_and_add(&entry->given, 1);
	if (count)
		++*count;
	return true;
}

static __always_inline __u32 least_loaded(__u64 *least)
{
	__u32 best = 0;

	*least = NOBODY;
	for (__u32 worker = 0; worker < STEER_WORKERS_MAX; ++worker) {
		__u64 load;

		if (worker >= options.workers)
			break;
		load = load_of(worker);
		if (load < *least) {
			*least = load;
			best = worker;
		}
	}
	return best;
}

SEC("sk_reuseport")
int steer(struct sk_reuseport_md *ctx)
{
	const __u32 cpu = bpf_get_smp_processor_id();
	const __u32 kernel = STEER_KERNEL;
	__u64 least;
	const __u32 best = least_loaded(&least);
	const __u32 local = options.cpu_worker[cpu % STEER_WORKERS_MAX];
	__u64 *count;

	if (local && load_of(local - 1) <= least + options.slack && give(ctx, local - 1, STEER_LOCAL))
		return SK_PASS;
	if (give(ctx, best, STEER_LEAST))
		return SK_PASS;
	count = bpf_map_lookup_elem(&steer_reasons, &kernel);
	if (count)
		++*count;
	return SK_PASS;
}
