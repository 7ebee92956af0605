/*
 * The only contract between the kernel programs (bpf/) and user space (dataplane/kernel): keys, values and constants of
 * every map. Included by both sides. No implicit padding, every struct with its size; a struct that changes needs another
 * number of its delivery's ABI, because its maps are pinned and outlive the process that made them.
 */
#pragma once

#include <linux/types.h>

#ifdef __cplusplus
#define LB_SIZE_ASSERT(name, size) static_assert(sizeof(struct name) == (size), #name)
#else
#define LB_SIZE_ASSERT(name, size) _Static_assert(sizeof(struct name) == (size), #name)
#endif

/*
 * The packet delivery (l4_tc.bpf.c, l4_xdp.bpf.c over l4*.h; docs/adr/0007).
 *
 * An address is always 16 bytes in network order, IPv4 as ::ffff:a.b.c.d; ports in packets' order are __be16, others say so.
 * Both objects declare the same maps by the same names. All of them are pinned by name under one directory per ABI number,
 * PINS/l4-vN/, so that flows outlive a restart or an upgrade; the links are pinned beside them. Removing the directory removes
 * every trace. A newer number takes from an older one's directory the maps of the same name, type and sizes, and the links: a map
 * whose meaning changes needs another name, too.
 *
 *   map                 type, key -> value                                      who writes
 *   l4_vips             HASH          l4_vip_key -> l4_vip                      user space
 *   l4_tables           ARRAY_OF_MAPS service -> ARRAY[1] of l4_table           user space
 *   l4_endpoints        ARRAY         slot -> l4_endpoint                       user space
 *   l4_flows            HASH          l4_flow_key -> l4_flow                    programs; user space sweeps
 *   l4_half_open        LRU_HASH      l4_flow_key -> l4_flow                    programs; user space sweeps
 *   l4_fragments        LRU_HASH      l4_fragment_key -> l4_fragment            programs; ages by LRU alone
 *   l4_reasons          PERCPU_ARRAY  enum l4_reason -> l4_count                programs
 *   l4_service_traffic  PERCPU_ARRAY  service -> l4_traffic                     programs
 *   l4_endpoint_traffic PERCPU_ARRAY  slot -> l4_traffic                        programs; user space zeroes it for a new owner
 *
 * Attaching: l4_tc at tc ingress of every interface on which clients or endpoints speak to this machine (tcx, else clsact).
 * l4_xdp only where l4_tc is attached too: it forwards what is plain and hands all else, untouched, to l4_tc (XDP_PASS): RST and
 * ICMP replies, ICMP errors, fragments, unresolved neighbours. Each object is opened once, for all interfaces.
 * XDP sends out by the interface a packet came by, or by one that is named in its own xdp_ports (not pinned): those whose driver
 * takes redirected frames. On a veth that takes none (its other end runs neither XDP nor GRO) what is sent back is lost without a
 * word: l4_xdp must not be attached there. All who send through a veth must finish their checksums (ethtool -K ... tx off).
 *
 * Writing a table so that every packet in flight sees the old choice or the new one, never a mixture:
 *   1. l4_endpoints: records of endpoints that are new, in slots that nothing names: state READY, generation = old generation + 1.
 *   2. A new inner map of l4_tables, filled whole by one update, then l4_tables[service] = its descriptor. The kernel returns
 *      from that update only when no program still runs with the old inner map. The inner map's descriptor may be closed then.
 *   3. l4_vips: entries of a new service, only after 1 and 2. Entries of a service that leaves are deleted before its table.
 *   4. l4_endpoints: DRAINING, DEAD or ABSENT for those that left. A change of state writes the record with nothing else changed.
 * A slot may get another owner once its state has been ABSENT for L4_SLOT_REST_SECONDS and no table names it. Flows of the former
 * owner are known by their generation. After a restart user space reads l4_endpoints and finds its endpoints by `identity`.
 */
#define L4_ABI 2

#define L4_SERVICES_MAX 256
#define L4_ENDPOINTS_MAX 4096   /* slots 1..4095: slot 0 means "none" */
#define L4_TABLE_SIZE 196613    /* prime; what that buys and costs: dataplane/feed/maglev.h */
#define L4_FLOWS_DEFAULT 262144 /* entries of l4_flows; a connection takes two (one with direct return). Preallocated. */
#define L4_HALF_OPEN_DEFAULT 65536
#define L4_FRAGMENTS_DEFAULT 8192
#define L4_SLOT_REST_SECONDS 2
#define XDP_PORTS_MAX 256

/* A wildcard bind is written as one entry per address of this machine, again when its addresses change. */
struct l4_vip_key {
	__u32 ip[4];
	__be16 port;
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 zero;
};
LB_SIZE_ASSERT(l4_vip_key, 20);

/*
 * NAT: the source becomes l4_endpoint.source and a port of the options' range: works in every topology, hides the client.
 * TRANSPARENT: the client's address stays; the endpoint's way back to it must lead through this machine. A client that is the
 *   endpoint itself, or whose tuple is taken, gets NAT.
 * DIRECT: the packet is sent to the endpoint's MAC unchanged; the endpoint has the service's address on its loopback, on the
 *   same port, and answers the client itself. Endpoints are on a link of this machine. Flows are tracked one way.
 */
enum l4_mode { L4_NAT = 0, L4_TRANSPARENT = 1, L4_DIRECT = 2 };

/* Silence instead of RST or ICMP unreachable: without an endpoint, and for flows whose endpoint died. */
#define L4_VIP_SILENT 1

struct l4_vip {
	__u32 service; /* index into l4_tables and l4_service_traffic */
	__u8 mode;     /* enum l4_mode */
	__u8 flags;    /* L4_VIP_* */
	__u16 zero;
};
LB_SIZE_ASSERT(l4_vip, 8);

/* Maglev's table, built by user space (dataplane/feed/maglev.h). A service without endpoints has a table of zeroes. Only READY
 * endpoints of the service address's own family are named. */
struct l4_table {
	__u16 endpoint[L4_TABLE_SIZE]; /* slots */
};
LB_SIZE_ASSERT(l4_table, 393226);

/*
 * READY: new flows and old ones. DRAINING: keeps its flows, gets none. DEAD: its clients get RST, one at each one's next packet,
 * its flows go. ABSENT: as DEAD; the slot is or will be free. A table that still names an endpoint that is not READY does no
 * harm: the next READY one in the table is taken.
 */
enum l4_endpoint_state { L4_ABSENT = 0, L4_READY = 1, L4_DRAINING = 2, L4_DEAD = 3 };

/* `ifindex` is this side of the endpoint's veth pair: packets are handed to the other side at once (bpf_redirect_peer). Only where
 * `ifindex` is the way to the endpoint itself (not a bridge), in this network namespace, and l4_tc is attached to it. */
#define L4_ENDPOINT_PEER 1

struct l4_endpoint {
	__u32 ip[4];
	__u32 source[4];  /* NAT: this machine's address towards it (routing's choice), of the same family */
	__be16 port;
	__u8 state;       /* enum l4_endpoint_state */
	__u8 flags;       /* L4_ENDPOINT_* */
	__u32 generation; /* of the slot: +1 for each new owner, and to drop all flows of this one */
	__u32 ifindex;    /* 0: routing decides */
	__u32 service;
	__u64 identity;   /* user space's own: a hash of instance id and generation */
};
LB_SIZE_ASSERT(l4_endpoint, 56);

/* A packet's addresses as they arrive: from the client to the service, or from the endpoint to what we made the source. */
struct l4_flow_key {
	__u32 source[4];
	__u32 dest[4];
	__be16 source_port;
	__be16 dest_port;
	__u8 protocol;
	__u8 zero[3];
};
LB_SIZE_ASSERT(l4_flow_key, 40);

/*
 * A connection has an entry for each direction, found by that direction's packets, holding what the addresses become. The entry
 * of the other side of a flow F with key K is at {F.dest, F.source, F.dest_port, F.source_port, K.protocol}: the answer to what
 * F's packets become. State is written to both entries when it changes; `tick` only to the entry whose packet came.
 *
 * A connection begins in l4_half_open, both entries, and moves to l4_flows when the client has answered the endpoint (TCP: ACK
 * after SYN-ACK; UDP: a datagram after the endpoint's). So a flood of SYNs, or of queries, displaces its like alone. When
 * l4_flows is full it stays in l4_half_open (L4_TABLE_FULL counts) and works as long as newer ones leave it there.
 * A state decides how long an idle entry stays, not what happens to packets: a forged RST ends nothing.
 *
 * User space sweeps both maps every one to four seconds (l4_sweep.bpf.c deletes): an entry with L4_FLOW_CLIENT is idle since the
 * later of its own tick and its other side's, and when that is longer than its state's time-out it is deleted, then the other side,
 * in this order (the endpoint's side holds the port). An entry without L4_FLOW_CLIENT whose other side is gone, idle for 2 ticks: deleted. The time
 * now in ticks: clock_gettime(CLOCK_MONOTONIC_COARSE) in ns >> L4_TICK_SHIFT. Flows open now per endpoint are counted on the way.
 */
#define L4_TICK_SHIFT 30 /* a tick is 2^30 ns, 1.07 s */

enum l4_state {              /* time-out by default */
	L4_SYN = 0,          /* 10 s: client's SYN */
	L4_SYN_ACK = 1,      /* 10 s: endpoint answered */
	L4_ESTABLISHED = 2,  /* 900 s (the feed's idle time-out of the service) */
	L4_FIN_CLIENT = 3,   /* 60 s; direct return: 10 s */
	L4_FIN_ENDPOINT = 4, /* 60 s */
	L4_CLOSED = 5,       /* 5 s: FIN from both; a new SYN replaces it at once */
	L4_RESET = 6,        /* 2 s: RST from either; a new SYN replaces it at once */
	L4_UDP_NEW = 7,      /* 30 s: no answer yet */
	L4_UDP_ANSWERED = 8, /* 5 s: one question, one answer (DNS) */
	L4_UDP_STREAM = 9,   /* 120 s */
	L4_STATES = 10
};

#define L4_FLOW_CLIENT 1 /* the client's side, which owns the pair */
#define L4_FLOW_SINGLE 2 /* direct return: there is no other side */
#define L4_FLOW_PLAIN 4  /* direct return: the packet stays as it is */
#define L4_FLOW_NAT 8    /* the source towards the endpoint is ours: a port is reserved */
#define L4_FLOW_SILENT 16
#define L4_FLOW_RESET_BY_CLIENT 32   /* whose RST made the state L4_RESET */
#define L4_FLOW_RESET_BY_ENDPOINT 64
#define L4_FLOW_TAKEN 128            /* over, and one CPU is taking its port for another flow */

struct l4_flow {
	__u32 source[4]; /* what the addresses become; of a PLAIN flow, dest is the endpoint: where it is sent to */
	__u32 dest[4];
	__be16 source_port;
	__be16 dest_port;
	__u32 endpoint; /* slot */
	__u32 generation;
	__u32 tick; /* when a packet of this direction last came */
	/* From here on one word, changed in one step. */
	__u16 service __attribute__((aligned(8)));
	__u8 state; /* enum l4_state */
	__u8 flags; /* L4_FLOW_* */
	__u32 opened; /* UDP: tick of the first packet. TCP: moment (l4_moment) of the handshake's last step, from which the next one's round
		       * trip is counted; 0: a step was repeated, so its time tells nothing */
};
LB_SIZE_ASSERT(l4_flow, 56);

/* A flow that seems to be over, as user space saw it: L4_OVERS_MAX of them are `overs` in l4_sweep's memory, mapped into user space. */
#define L4_OVERS_MAX 512

enum l4_ended { L4_NOT_ENDED = 0, L4_ENDED = 1, L4_REST_ENDED = 2 /* an endpoint's side whose client's side was gone */ };

struct l4_over {
	struct l4_flow_key key;
	__u64 life;       /* the last word of its struct l4_flow */
	__u32 fresh_from; /* it goes on if a packet of either side came at this tick or later */
	__u16 slot;       /* user space's own */
	__u8 half_open;   /* the table it was seen in */
	__u8 ended;       /* by the program: enum l4_ended */
};
LB_SIZE_ASSERT(l4_over, 56);

/* First fragments have ports, later ones only this. */
struct l4_fragment_key {
	__u32 source[4];
	__u32 dest[4];
	__u32 id;
	__u32 protocol;
};
LB_SIZE_ASSERT(l4_fragment_key, 40);

struct l4_fragment {
	__u32 source[4];
	__u32 dest[4];
	__u32 endpoint;
	__u32 generation;
	__u16 service;
	__u8 flags; /* L4_FLOW_* */
	__u8 zero;
	__u32 tick;
};
LB_SIZE_ASSERT(l4_fragment, 48);

/* Every packet that a program sees is counted once, under a verdict (those up to L4_VERDICTS; XDP and tc share the counters, and
 * what XDP hands on is counted under L4_XDP_HANDED_ON there and under its verdict by tc). Events are counted besides. */
#define L4_REASONS_LIST(X)                                                                                                     \
	X(NOT_OURS, "no service or flow of ours: left to the stack")                                                           \
	X(TO_ENDPOINT, "sent to an endpoint")                                                                                  \
	X(TO_CLIENT, "sent back to a client")                                                                                  \
	X(TO_ENDPOINT_STATELESS, "direct return, no flow known: sent to the table's choice")                                   \
	X(ICMP_TO_ENDPOINT, "ICMP error translated and sent to an endpoint")                                                   \
	X(ICMP_TO_CLIENT, "ICMP error translated and sent to a client")                                                        \
	X(FRAGMENT, "later fragment sent with its first")                                                                      \
	X(XDP_HANDED_ON, "XDP left it to tc")                                                                                  \
	X(NO_ENDPOINT, "service without a ready endpoint: refused")                                                            \
	X(NO_FLOW, "not a first packet, and no flow known: refused")                                                           \
	X(ENDPOINT_GONE, "endpoint died or was replaced: client was reset, flow dropped")                                      \
	X(NO_PORT, "no free port towards the endpoint: refused")                                                               \
	X(TOO_BIG, "larger than the way's MTU: sender was told")                                                               \
	X(TTL_EXPIRED, "hop limit reached: sender was told")                                                                   \
	X(NO_ROUTE, "no route to the endpoint or client: dropped")                                                             \
	X(FRAGMENT_UNKNOWN, "later fragment without its first: left to the stack")                                             \
	X(FRAGMENT_TINY, "first fragment too short for its transport header: left to the stack")                                         \
	X(MALFORMED, "headers that contradict one another: left to the stack, which drops them")                               \
	X(HEADER_UNSUPPORTED, "IPv6 extension headers we do not walk: left to the stack")                                      \
	X(ACTION_FAILED, "a kernel helper refused: dropped")                                                                   \
	X(SILENCED, "refused in silence, as the service wants it")                                                             \
	X(EVENT_FLOW_OPENED, "flow made")                                                                                      \
	X(EVENT_PROMOTED, "flow confirmed by its client")                                                                      \
	X(EVENT_TABLE_FULL, "flow could not be confirmed: the flow table is full")                                             \
	X(EVENT_REUSED, "closed flow replaced by a new one of the same addresses")                                             \
	X(EVENT_PORT_RECYCLED, "port of a flow that is over taken before its time")                                                \
	X(EVENT_PORT_LOCAL, "port left to a socket of this machine")                                                           \
	X(EVENT_NAT_FALLBACK, "client's own address could not be kept")                                                        \
	X(EVENT_NOT_READY, "the table's choice was not ready: another was taken")                                              \
	X(EVENT_RACED, "another CPU made the flow first")                                                                      \
	X(EVENT_HALF_OPEN_DISPLACED, "port of the oldest half-open flow taken for a new one, as in a flood")

#define L4_REASON_NAME(name, text) L4_##name,
enum l4_reason { L4_REASONS_LIST(L4_REASON_NAME) L4_REASONS };
#define L4_VERDICTS L4_EVENT_FLOW_OPENED
#define L4_REASONS_MAX 64 /* entries of l4_reasons, with room for more */

struct l4_count {
	__u64 packets;
	__u64 bytes; /* from the IP header on */
};
LB_SIZE_ASSERT(l4_count, 16);

/* Round trips of handshakes, by a clock of 2^10 ns. A step that was repeated is left out (Karn). */
#define L4_MOMENT_SHIFT 10
#define L4_MOMENTS_MAX (1 << 24) /* 17 s: no handshake takes longer, something else was measured */
#define L4_MOMENTS_HANDSHAKE 97656 /* 0.1 s: so long a half-open flow keeps its port however many want one */
#define L4_MOMENTS_REPEATED 976562 /* 1 s: as old counts one with a repeated step, whose beginning is not known */
#define L4_MOMENTS_REPEAT 97656  /* 0.1 s: sooner nobody repeats a step; XDP and tc may both see one packet */

struct l4_round_trip {
	__u64 samples;
	__u64 sum; /* of 2^10 ns */
};
LB_SIZE_ASSERT(l4_round_trip, 16);

/* Of a service and of an endpoint. A GSO packet counts as the segments it stands for. */
struct l4_traffic {
	struct l4_count to_endpoint;
	struct l4_count to_client; /* stays 0 with direct return */
	__u64 flows_opened;
	__u64 flows_reset;  /* RST seen from either side */
	__u64 flows_dropped; /* endpoint died or was replaced */
	__u64 refused;      /* new flows: no endpoint, no port */
	__u64 syn_repeated; /* by clients: the endpoint, or the way to it, did not answer in time */
	struct l4_round_trip endpoint_rtt; /* SYN sent on to SYN-ACK; none with direct return */
	struct l4_round_trip client_rtt;   /* SYN-ACK sent on to ACK */
};
LB_SIZE_ASSERT(l4_traffic, 104);

/* `const volatile struct l4_options options` in the rodata of both objects, set before load. */
#define L4_OPTION_STACK 1  /* tc: after rewriting let this machine's stack route (needs ip_forward, and accept_local for NAT) */
#define L4_OPTION_SOCKETS 2 /* look for sockets of this machine before a port is taken. On by default. */

struct l4_options {
	__u32 flags;      /* L4_OPTION_* */
	__u32 hash_seed;  /* of the table's index. The same on every balancer of a service, for its life. */
	__u32 ifindex;    /* way out where forwarding is off on the interface a packet came by; 0: that interface itself */
};
LB_SIZE_ASSERT(l4_options, 12);

/* `volatile __u32 l4_ports` in the data of both objects: the range of NAT's ports, in host order, both inclusive. User space may
 * change it at any time; flows keep theirs. Below ip_local_port_range, where the kernel takes its own. */
#define L4_PORTS(first, last) ((first) | (last) * 65536u)

/*
 * The connect delivery (connect.bpf.c, dataplane/kernel/connect.h).
 *
 * An address is always 16 bytes in network order, IPv4 as ::ffff:a.b.c.d; ports are in network order too.
 * A service's slots are an alias table (Vose): slot i is picked with 1/n, and then `own` with keep/2^32, else `other`. They are
 * written under a new generation before the service's entry names it, so a connect sees the old table or the new one.
 */
struct connect_key {
	__u32 ip[4];
	__u16 port;
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 zero;
};
LB_SIZE_ASSERT(connect_key, 20);

#define CONNECT_ABI 2
#define CONNECT_PEERS 32768 /* sockets; further ones keep theirs in socket storage */

#define CONNECT_REFUSE_EMPTY 1 /* without an endpoint: ECONNREFUSED; else the address itself is tried */
#define CONNECT_LEAST_OPEN 2   /* of two picks the one with fewer open connections for its weight */

struct connect_service {
	__u64 id; /* of its counters */
	__u64 generation;
	__u64 netns; /* cookie of the only network namespace it is for; 0: any */
	__u64 cursor;
	__u32 slots;
	__u32 flags;
};
LB_SIZE_ASSERT(connect_service, 40);

struct connect_slot_key {
	__u64 service;
	__u64 generation;
	__u64 index;
};
LB_SIZE_ASSERT(connect_slot_key, 24);

struct connect_endpoint {
	__u64 id; /* of its counters */
	__u32 ip[4];
	__u16 port;
	__u16 weight;
	__u32 zero;
};
LB_SIZE_ASSERT(connect_endpoint, 32);

struct connect_slot {
	struct connect_endpoint own;
	struct connect_endpoint other;
	__u64 keep; /* up to and including 2^32 */
};
LB_SIZE_ASSERT(connect_slot, 72);

/* Of a service and of an endpoint, by id. They outlive the tables, and the dataplane. */
struct connect_counters {
	__u64 chosen;  /* connects and, for UDP, first datagrams */
	__u64 open;    /* endpoint: sockets that are connected to it */
	__u64 empty;   /* service: no endpoint was ready */
	__u64 foreign; /* service: asked for in another network namespace than its own */
};
LB_SIZE_ASSERT(connect_counters, 32);

/* What a socket believes it talks to, and what it does talk to. Kept until the socket is closed. */
struct connect_peer {
	__u64 endpoint; /* id; 0: unused */
	__u64 generation;
	__u32 service_ip[4];
	__u32 ip[4];
	__u16 service_port;
	__u16 port;
	__u32 zero;
};
LB_SIZE_ASSERT(connect_peer, 56);

#define CONNECT_FLOWS 4 /* services that one unconnected UDP socket talks to at a time */
struct connect_flows {
	struct connect_peer peers[CONNECT_FLOWS];
	__u64 next; /* the one to be overwritten */
};
LB_SIZE_ASSERT(connect_flows, 232);

/*
 * Which worker takes a new connection (steer.bpf.c, dataplane/kernel/steer.h). One object for each listening address; all of
 * them share steer_load, which is mapped into the dataplane: a worker stores one word when a session begins or ends.
 */
#define STEER_WORKERS_MAX 256
#define STEER_NO_SOCKET 0xffff /* as worker_cpu: it does not listen here, and would be the least loaded one for ever */

struct steer_worker {
	__u64 sessions; /* by the worker: taken since the start in the upper half, open in the lower */
	__u32 given;    /* by the programs: connections given to it */
	__u32 zero;
};
LB_SIZE_ASSERT(steer_worker, 16);

struct steer_options {
	__u32 workers;
	__u32 slack;                         /* a worker on this CPU may have so many more than the least loaded one, and an eighth */
	__u16 worker_cpu[STEER_WORKERS_MAX]; /* by worker: the CPU it is pinned to + 1; 0: any, or it does not matter */
};
LB_SIZE_ASSERT(steer_options, 520);

enum steer_reason { STEER_LOCAL = 0, STEER_LEAST = 1, STEER_KERNEL = 2, STEER_REASONS = 3 };
