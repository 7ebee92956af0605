// SPDX-License-Identifier: GPL-2.0
// Which worker's listening socket gets a new connection: that of a worker pinned to the CPU that took the packet, where that is
// wanted and it has hardly more to do than others, else the one with the fewest sessions. Runs once a SYN. What it cannot decide (a worker's socket is
// not in the array, as while a successor takes them over) is left to the kernel's hash.
// Kernel: net/core/sock_reuseport.c, BPF_PROG_TYPE_SK_REUSEPORT.
#include <linux/bpf.h>
#include <linux/tcp.h>
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

struct candidate {
	__u32 worker;
	__u64 load;
};

struct search {
	__u32 cpu;
	struct candidate all;   /* of all workers */
	struct candidate local; /* of those pinned to `cpu` */
};

static __always_inline void take_if_less(struct candidate *best, __u32 worker, __u64 load)
{
	if (load >= best->load)
		return;
	best->worker = worker;
	best->load = load;
}

// Called for each worker: a loop of the program's own would be checked for every way through 256 of them, which the verifier refuses.
static long look_at(__u32 worker, struct search *search)
{
	const __u64 load = load_of(worker);

	if (worker >= STEER_WORKERS_MAX)
		return 1;
	if (options.worker_cpu[worker] == STEER_NO_SOCKET)
		return 0;
	take_if_less(&search->all, worker, load);
	if (options.worker_cpu[worker] == search->cpu + 1)
		take_if_less(&search->local, worker, load);
	return 0;
}

// A little is always allowed, and of many a share: that some are more does not matter then.
static __always_inline bool worth_it(const struct candidate *local, const struct candidate *all)
{
	return local->load != NOBODY && local->load <= all->load + all->load / 8 + options.slack;
}

// A packet that finds no connection comes here too, a late one of a closed connection for example: nobody will accept it. The
// acknowledgement of a SYN cookie looks like one, and makes do with the hash.
static __always_inline bool begins_connection(const struct sk_reuseport_md *ctx)
{
	const struct tcphdr *tcp = ctx->data;

	return (const void *)(tcp + 1) <= ctx->data_end && tcp->syn && !tcp->ack && !tcp->rst;
}

SEC("sk_reuseport")
int steer(struct sk_reuseport_md *ctx)
{
	const __u32 kernel = STEER_KERNEL;
	struct search search = {bpf_get_smp_processor_id(), {0, NOBODY}, {0, NOBODY}};
	__u64 *count;

	if (!begins_connection(ctx))
		return SK_PASS;
	bpf_loop(options.workers, look_at, &search, 0);
	if (worth_it(&search.local, &search.all) && give(ctx, search.local.worker, STEER_LOCAL))
		return SK_PASS;
	if (give(ctx, search.all.worker, STEER_LEAST))
		return SK_PASS;
	count = bpf_map_lookup_elem(&steer_reasons, &kernel);
	if (count)
		++*count;
	return SK_PASS;
}
