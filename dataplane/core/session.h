// The objects of a worker: session (a client connection), exchange (one request and its response, or one TCP stream) and
// upstream (a connection to an endpoint). Their slots live in slabs of the worker; handlers are in worker.h.
//
// An idle session holds a socket, a Session and a timer: no buffer, no exchange. Everything that only a request under way
// needs is in Exchange.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/core/access_record.h"
#include "dataplane/core/backend_map.h"
#include "dataplane/core/http_chunked.h"
#include "dataplane/core/http_head.h"
#include "dataplane/core/io.h"
#include "dataplane/core/reply.h"

namespace ringway::dp {

inline constexpr uint32_t kNoSlot = ~0u;

// A provided buffer that we hold.
struct BufferRef {
  uint16_t id = kNoBuffer;
  Group group = Group::kSmall;
  bool held() const { return id != kNoBuffer; }
};

// Sockets in a row, oldest first: a worker's lists of those that wait for a buffer, for their turn to move bulk, and to be handed
// what was kept for them.
struct SocketList {
  uint32_t head = kNoSlot;  // keys: see Worker::KeyOf
  uint32_t tail = kNoSlot;
  bool empty() const { return head == kNoSlot; }
};

// What a socket's receive brought while nobody waited for it, in order; see worker_receive.h.
struct Inbox {
  static constexpr int32_t kNoResult = 1;
  static constexpr uint8_t kSinglesMax = 4;
  uint16_t first = kNoBuffer;  // small buffers, linked by the worker's table of them
  uint16_t last = kNoBuffer;
  uint16_t count = 0;
  // So many short receives are to be armed one by one: what comes is bulk, or more than is asked for, or not known yet.
  uint8_t singles = kSinglesMax;
  int32_t result = kNoResult;  // what ended the receive, after those bytes: 0 or a negative errno
  bool any() const { return count > 0 || result != kNoResult; }
};

// What both kinds of connections have. The flags say what is in flight; a slot is freed only when the socket is quiet.
struct Socket {
  uint32_t generation = 0;  // Slab's
  uint32_t next_free = 0;   // Slab's
  int32_t fd = -1;
  uint32_t list_next = kNoSlot;    // on the worker's list of parked, of queued, or of due sockets: on one at most
  bool receiving = false;  // the next bytes are wanted: of the armed receive, or of what was kept
  bool armed = false;      // a receive is in flight
  bool disarming = false;  // and has been asked to end
  bool sending = false;
  bool connecting = false;
  bool parked = false;       // the receive waits for a buffer
  bool queued = false;       // ready to be moved from: waits for its turn
  bool due = false;          // what was kept is to be handed on
  bool polling_in = false;   // what is armed is a poll
  bool polling_out = false;  // `sending` is a poll
  bool reset = false;  // close with RST: the stream was cut, and its end must not look like an end
  Inbox inbox;
  // What the peer sends next is being waited for.
  bool expecting() const { return receiving || parked || queued; }
  bool quiet() const { return !armed && !due && !parked && !queued && !sending && !connecting; }
};

enum class SessionState : uint8_t {
  kIdle,      // waits for the first byte of a request
  kHead,      // has a part of a request head
  kExchange,  // an exchange is under way
  kLinger,    // answered and half closed; reads what still comes, so that no RST overtakes the answer
  kClosing,   // waits for its last completions
};

struct Session : Socket {
  SessionState state = SessionState::kIdle;
  bool tcp = false;
  bool fresh = true;         // no request yet
  bool input_ended = false;  // the client has sent its FIN
  bool trusted = false;      // its X-Forwarded-* are kept
  uint16_t listener = 0;
  uint32_t exchange = kNoSlot;
  BufferRef in;              // received and not yet consumed: [in_begin, in_end)
  uint32_t in_begin = 0;
  uint32_t in_end = 0;
  uint32_t scanned = 0;      // ParseRequestHead's
  uint32_t linger_bytes = 0;
  IpAddress peer;
};

enum class UpstreamState : uint8_t {
  kConnecting,
  kBound,    // serves an exchange
  kIdle,     // pooled: a receive is armed, to see it close
  kClosing,  // waits for its last completions
};

struct Upstream : Socket {
  UpstreamState state = UpstreamState::kConnecting;
  EndpointHandle endpoint = kNoHandle;
  ServiceHandle service = kNoHandle;
  uint32_t exchange = kNoSlot;
  uint32_t idle_previous = kNoSlot;
  uint32_t idle_next = kNoSlot;
  uint32_t segments_seen = 0;  // of the last sample of its path
  uint32_t retransmits_seen = 0;
};

// How the end of a body is known (RFC 9112 section 6.3).
enum class Framing : uint8_t { kNone, kLength, kChunked, kStripChunked, kUntilClose };

// One direction of an exchange: received into a buffer or a pipe, checked, sent from there, next. One at a time, so a slow
// reader stops the writer.
struct Flow {
  uint64_t remaining = 0;     // kLength
  uint32_t piped = 0;         // bytes in `pipe`
  uint16_t pipe = kNoPipe;    // held until all bytes in it are sent, behind the slices
  uint8_t slice_at = 0;
  uint8_t slice_count = 0;
  Framing framing = Framing::kNone;
  bool received_all = false;  // the source's message, or stream, has ended
  bool bulk = false;          // receives fill their buffers
  bool eager = false;         // bulk: the last move got all it asked for, more is there already
  BufferRef buffer;           // held until all slices are sent
  ChunkScanner chunks;
  std::array<Slice, kSlicesMax> slices;
  bool unsent() const { return slice_at < slice_count || piped > 0; }
};

enum class ExchangeState : uint8_t {
  kQueued,      // waits for room at an endpoint, or for an endpoint
  kConnecting,  // towards an endpoint
  kWaiting,     // request under way, nothing of the response passed on
  kResponding,  // response under way
  kReplying,    // our own response is under way
  kTunnel,      // bytes both ways: TCP, or after 101
  kUnbinding,   // gives up its upstream, then does `next`
};

// What follows when nothing of the exchange is in flight.
enum class Next : uint8_t { kNothing, kRetryOrReply, kReply, kFinish, kDrop };

enum class WaitFor : uint8_t { kRoom, kEndpoint };

inline constexpr uint8_t kRefusedMax = 16;
// Config allows 16 retries; those that were refused at once do not count, and one more follows a pooled upstream that died.
inline constexpr uint32_t kTriedMax = 16 + kRefusedMax + 2;

// Large members first, none with a gap before it: a fresh one is then a few wide stores.
struct Exchange {
  Exchange() {}  // leaves `head` and what has no initializer as it is

  uint32_t generation = 0;  // Slab's
  uint32_t next_free = 0;   // Slab's
  uint64_t start_us = 0;    // head complete
  uint64_t attempt_us = 0;  // current endpoint chosen
  uint64_t bytes_received = 0;    // from the client, when `logged`
  uint64_t bytes_sent = 0;        // to the client
  uint32_t head_bytes_sent = 0;   // when `logged`: of what was sent to the client, all but the body
  uint32_t request_begin = 0;     // see request_buffer
  uint32_t body_first = 0;
  // The response head while it is incomplete: [response_begin, response_end) of response.buffer.
  uint32_t response_begin = 0;
  uint32_t response_end = 0;
  uint32_t response_scanned = 0;
  uint32_t session = kNoSlot;
  uint32_t upstream = kNoSlot;
  ServiceHandle service = kNoHandle;
  EndpointHandle endpoint = kNoHandle;  // while an upstream is bound
  EndpointHandle served_by = kNoHandle;  // the last one that was bound
  uint32_t wait_previous = kNoSlot;  // kQueued: neighbours on its list
  uint32_t wait_next = kNoSlot;
  uint32_t connect_us = kNever;   // from the choice to the connection
  uint32_t response_us = kNever;  // from there to the first byte of the response
  uint16_t interim = 0;         // status of the 1xx whose slices are under way
  uint16_t reply_status = 0;
  uint16_t status = 0;  // of the final response, or of the 101
  uint16_t text_size = 0;
  ExchangeState state = ExchangeState::kUnbinding;
  Next next = Next::kNothing;
  bool close_after = false;     // the session ends with this exchange
  bool head_only = false;       // HEAD: the response has no body
  bool fresh_only = false;      // no pooled upstream any more: one has died
  bool pooled_died = false;     // and that was the last attempt
  bool retry_due = false;       // the next attempt is to be taken out of the retry budget
  bool reused = false;          // the upstream came from the pool
  bool sent_any = false;        // bytes of the request have gone to the current upstream
  bool replayable = true;       // request.buffer still holds all that was sent
  bool response_seen = false;   // a byte of the response has come
  bool response_due = false;    // the deadline is the response's: the request was handed over whole
  bool request_dead = false;    // the upstream takes no more of the request
  bool upstream_keep = false;   // the upstream may be pooled after the response
  WaitFor waits_for = WaitFor::kRoom;  // kQueued
  uint8_t tried_count = 0;
  uint8_t attempts = 0;
  uint8_t refused = 0;  // attempts whose connect was refused at once: beyond retries_max, up to kRefusedMax
  bool logged = false;   // leaves a record when it ends
  End end = End::kDone;  // how, for the record
  bool request_shared = false;  // see request_buffer
  // The request as it stands in request_buffer: [request_begin, + head.size + body_first). Where pipelined bytes follow in the
  // same buffer the session owns it (Session::in) and request_shared is set.
  BufferRef request_buffer;
  std::array<EndpointHandle, kTriedMax> tried;
  union {
    RequestHead head;
  };
  Flow request;
  Flow response;
  std::array<char, kReplyBytesMax> text;  // inserted request lines, later perhaps our own response
};

}  // namespace ringway::dp
