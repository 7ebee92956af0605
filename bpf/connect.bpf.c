// SPDX-License-Identifier: GPL-2.0
// The connect delivery: a socket of this host that connects (TCP, UDP) or sends (UDP) to a service's address is given a ready
// endpoint in the call itself. From then on nothing of ours is in its way; the source address is its own.
// Attached to cgroups, so it runs in the context of the process that calls, once a connect. What the socket was given is kept
// until it is closed: getpeername and recvmsg show the service, and the close is counted.
// Kernel: Documentation/bpf/prog_cgroup_sockopt.rst has the return values, net/ipv4/{af_inet,udp}.c the call sites.
#include <linux/bpf.h>
#include <linux/in.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/lb_abi.h"

#define ECONNREFUSED 111
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define V4_MAPPED bpf_htonl(0xffff)

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct connect_key);
	__type(value, struct connect_service);
} connect_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct connect_slot_key);
	__type(value, struct connect_slot);
} connect_slots SEC(".maps");

// The endpoints that are ready now, by id: whether a UDP socket may stay with the one it has.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, __u64);
} connect_ready SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, struct connect_counters);
} connect_counters SEC(".maps");

// By the socket's cookie, taken out at its close. (Socket storage would be four fifths of a connect's cost here.)
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CONNECT_PEERS);
	__type(key, __u64);
	__type(value, struct connect_peer);
} connect_peers SEC(".maps");

// Of sockets for which that had no room.
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct connect_peer);
} connect_more_peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct connect_flows);
} connect_flows SEC(".maps");

enum verdict { DENY = 0, ALLOW = 1 };

#define COUNT(id, member, by)                                                                     \
	do {                                                                                      \
		__u64 id_ = (id);                                                                 \
		struct connect_counters *counters_ = bpf_map_lookup_elem(&connect_counters, &id_); \
		if (counters_)                                                                    \
			__sync_fetch_and_add(&counters_->member, (by));                           \
	} while (0)

static __always_inline bool same_ip(const __u32 *a, const __u32 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

static __always_inline void copy_ip(__u32 *to, const __u32 *from)
{
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
	to[3] = from[3];
}

// ---- The address in the context, either family, as 16 bytes.

static __always_inline void read_address(struct bpf_sock_addr *ctx, bool v6, struct connect_key *key)
{
	key->ip[0] = v6 ? ctx->user_ip6[0] : 0;
	key->ip[1] = v6 ? ctx->user_ip6[1] : 0;
	key->ip[2] = v6 ? ctx->user_ip6[2] : V4_MAPPED;
	key->ip[3] = v6 ? ctx->user_ip6[3] : ctx->user_ip4;
	key->port = ctx->user_port;
	key->protocol = ctx->protocol;
	key->zero = 0;
}

static __always_inline void write_address(struct bpf_sock_addr *ctx, bool v6, const __u32 *ip, __u16 port)
{
	if (v6) {
		ctx->user_ip6[0] = ip[0];
		ctx->user_ip6[1] = ip[1];
		ctx->user_ip6[2] = ip[2];
		ctx->user_ip6[3] = ip[3];
	} else {
		ctx->user_ip4 = ip[3];
	}
	ctx->user_port = port;
}

// ---- Choice

// `at` is a point on [0, 2^32): its place among the slots, and within the slot which of the two.
static __always_inline bool pick(const struct connect_service *service, __u32 at, struct connect_endpoint *out)
{
	const __u64 scaled = (__u64)at * service->slots;
	const struct connect_slot_key key = {
		.service = service->id, .generation = service->generation, .index = scaled >> 32};
	const struct connect_slot *slot = bpf_map_lookup_elem(&connect_slots, &key);

	if (!slot)
		return false;
	*out = (scaled & 0xffffffff) < slot->keep ? slot->own : slot->other;
	return true;
}

static __always_inline __u64 open_on(__u64 id)
{
	const struct connect_counters *counters = bpf_map_lookup_elem(&connect_counters, &id);

	return counters ? counters->open : 0;
}

static __always_inline bool choose(struct connect_service *service, struct connect_endpoint *out)
{
	struct connect_endpoint second = {};

	if (!service->slots)
		return false;
	if (!(service->flags & CONNECT_LEAST_OPEN)) {
		// Multiples of the golden ratio fall evenly: nearly round robin, with any weights and any number of endpoints.
		const __u64 turn = __sync_fetch_and_add(&service->cursor, 1);

		return pick(service, turn * 2654435769u, out);
	}
	if (!pick(service, bpf_get_prandom_u32(), out))
		return false;
	if (pick(service, bpf_get_prandom_u32(), &second) &&
	    (open_on(second.id) + 1) * out->weight < (open_on(out->id) + 1) * second.weight)
		*out = second;
	return true;
}

// ---- A socket and its endpoint

static __always_inline void fill_peer(struct connect_peer *peer, const struct connect_service *service,
				      const struct connect_key *key, const struct connect_endpoint *endpoint)
{
	peer->endpoint = endpoint->id;
	peer->generation = service->generation;
	copy_ip(peer->service_ip, key->ip);
	copy_ip(peer->ip, endpoint->ip);
	peer->service_port = key->port;
	peer->port = endpoint->port;
	peer->zero = 0;
}

static __always_inline struct connect_peer *find_peer(__u64 cookie, struct bpf_sock *sk)
{
	struct connect_peer *peer = bpf_map_lookup_elem(&connect_peers, &cookie);

	return peer ? peer : bpf_sk_storage_get(&connect_more_peers, sk, NULL, 0);
}

static __always_inline bool keep_peer(__u64 cookie, struct bpf_sock *sk, const struct connect_peer *peer)
{
	struct connect_peer *kept;

	if (!bpf_map_update_elem(&connect_peers, &cookie, peer, BPF_ANY))
		return true;
	kept = bpf_sk_storage_get(&connect_more_peers, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (kept)
		*kept = *peer;
	return kept;
}

static __always_inline void note_closed(struct connect_peer *peer)
{
	if (!peer->endpoint)
		return;
	COUNT(peer->endpoint, open, -1);
	peer->endpoint = 0;
}

static __always_inline int nobody(const struct connect_service *service)
{
	COUNT(service->id, empty, 1);
	if (!(service->flags & CONNECT_REFUSE_EMPTY))
		return ALLOW;
	bpf_set_retval(-ECONNREFUSED);
	return DENY;
}

static __always_inline struct connect_service *find_service(struct bpf_sock_addr *ctx, const struct connect_key *key)
{
	struct connect_service *service = bpf_map_lookup_elem(&connect_services, key);

	if (!service || !service->netns || service->netns == bpf_get_netns_cookie(ctx))
		return service;
	COUNT(service->id, foreign, 1);
	return NULL;
}

// Between an entry and its slot the table may have been replaced: then by the entry as it is now.
static __always_inline bool choose_for(const struct connect_key *key, struct connect_service *service, struct connect_endpoint *out)
{
	if (choose(service, out))
		return true;
	if (!service->slots)
		return false;
	service = bpf_map_lookup_elem(&connect_services, key);
	return service && choose(service, out);
}

static __always_inline int on_connect(struct bpf_sock_addr *ctx, bool v6)
{
	struct connect_endpoint endpoint = {};
	struct connect_peer *peer, given = {};
	struct connect_service *service;
	struct connect_key key;
	__u64 cookie;

	read_address(ctx, v6, &key);
	if (!ctx->sk)
		return ALLOW;
	// A socket that connects again leaves what it had.
	cookie = bpf_get_socket_cookie(ctx);
	peer = find_peer(cookie, ctx->sk);
	if (peer)
		note_closed(peer);
	service = find_service(ctx, &key);
	if (!service)
		return ALLOW;
	if (!choose_for(&key, service, &endpoint))
		return nobody(service);
	fill_peer(&given, service, &key, &endpoint);
	if (keep_peer(cookie, ctx->sk, &given))
		COUNT(endpoint.id, open, 1);
	COUNT(service->id, chosen, 1);
	COUNT(endpoint.id, chosen, 1);
	write_address(ctx, v6, endpoint.ip, endpoint.port);
	return ALLOW;
}

// ---- UDP without connect: the endpoint is kept while it is ready.

static __always_inline bool still_ready(const struct connect_peer *peer, const struct connect_service *service)
{
	__u64 id = peer->endpoint;

	return peer->generation == service->generation || bpf_map_lookup_elem(&connect_ready, &id);
}

static __always_inline struct connect_peer *find_flow(struct connect_flows *flows, const struct connect_key *key)
{
	for (int i = 0; i < CONNECT_FLOWS; ++i) {
		struct connect_peer *peer = &flows->peers[i];

		if (peer->endpoint && peer->service_port == key->port && same_ip(peer->service_ip, key->ip))
			return peer;
	}
	return NULL;
}

static __always_inline int on_send(struct bpf_sock_addr *ctx, bool v6)
{
	struct connect_endpoint endpoint = {};
	struct connect_service *service;
	struct connect_flows *flows;
	struct connect_peer *peer;
	struct connect_key key;

	read_address(ctx, v6, &key);
	service = find_service(ctx, &key);
	if (!service || !ctx->sk)
		return ALLOW;
	flows = bpf_sk_storage_get(&connect_flows, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	// No memory for it: without it the replies would come from a stranger.
	if (!flows)
		return nobody(service);
	peer = find_flow(flows, &key);
	if (!peer || !still_ready(peer, service)) {
		if (!choose_for(&key, service, &endpoint))
			return nobody(service);
		if (!peer)
			peer = &flows->peers[flows->next++ % CONNECT_FLOWS];
		fill_peer(peer, service, &key, &endpoint);
		COUNT(service->id, chosen, 1);
		COUNT(endpoint.id, chosen, 1);
	}
	write_address(ctx, v6, peer->ip, peer->port);
	return ALLOW;
}

// ---- What the program sees as its peer

static __always_inline bool show_service(struct bpf_sock_addr *ctx, bool v6, const struct connect_key *from,
					 const struct connect_peer *peer)
{
	if (!peer->endpoint || peer->port != from->port || !same_ip(peer->ip, from->ip))
		return false;
	write_address(ctx, v6, peer->service_ip, peer->service_port);
	return true;
}

static __always_inline int on_receive(struct bpf_sock_addr *ctx, bool v6)
{
	struct connect_flows *flows;
	struct connect_peer *peer;
	struct connect_key from;

	if (!ctx->sk)
		return ALLOW;
	read_address(ctx, v6, &from);
	peer = find_peer(bpf_get_socket_cookie(ctx), ctx->sk);
	if (peer && show_service(ctx, v6, &from, peer))
		return ALLOW;
	flows = bpf_sk_storage_get(&connect_flows, ctx->sk, NULL, 0);
	if (!flows)
		return ALLOW;
	for (int i = 0; i < CONNECT_FLOWS; ++i) {
		if (show_service(ctx, v6, &from, &flows->peers[i]))
			break;
	}
	return ALLOW;
}

static __always_inline int on_getpeername(struct bpf_sock_addr *ctx, bool v6)
{
	struct connect_peer *peer;
	struct connect_key from;

	if (!ctx->sk)
		return ALLOW;
	read_address(ctx, v6, &from);
	peer = find_peer(bpf_get_socket_cookie(ctx), ctx->sk);
	if (peer)
		show_service(ctx, v6, &from, peer);
	return ALLOW;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	return on_connect(ctx, false);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	return on_connect(ctx, true);
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	return on_send(ctx, false);
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	return on_send(ctx, true);
}

SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr *ctx)
{
	return on_receive(ctx, false);
}

SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr *ctx)
{
	return on_receive(ctx, true);
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *ctx)
{
	return on_getpeername(ctx, false);
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *ctx)
{
	return on_getpeername(ctx, true);
}

SEC("cgroup/sock_release")
int released(struct bpf_sock *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct connect_peer *peer = find_peer(cookie, ctx);

	if (!peer)
		return ALLOW;
	note_closed(peer);
	bpf_map_delete_elem(&connect_peers, &cookie);
	return ALLOW;
}
