// Worker: from the first byte of a request to the choice of an endpoint.
#pragma once

#include <algorithm>
#include <cstring>
#include <new>

#include "dataplane/core/route.h"
#include "dataplane/core/worker.h"

namespace ringway::dp {

// What a receive brought: bytes in `got`, or the end, or an error.
template <Io IoType>
void Worker<IoType>::OnFromClient(Session& s, BufferRef got, int32_t result) {
  if (result > 0) return OnClientBytes(s, got, static_cast<uint32_t>(result));
  ReturnBuffer(got);
  OnClientNothing(s, result);
}

// A receive that brought no bytes.
template <Io IoType>
void Worker<IoType>::OnClientNothing(Session& s, int32_t result) {
  if (result == 0) return OnClientEnded(s);
  switch (Judge(result)) {
    case Verdict::kNoBuffers:
      return ParkClient(s);
    case Verdict::kAgain:
      return ArmClientRecv(s);
    case Verdict::kGone:
      return OnClientGone(s);
    default:
      counters_.worker.unexpected_total.Add();
      return OnClientGone(s);
  }
}

template <Io IoType>
[[gnu::always_inline]] inline void Worker<IoType>::OnClientBytes(Session& s, BufferRef got, uint32_t size) {
  switch (s.state) {
    case SessionState::kIdle:
      s.in = got;
      s.in_begin = 0;
      s.in_end = size;
      s.scanned = 0;
      return ParseRequest(s);
    case SessionState::kHead: {  // the rest of a head goes behind its first part
      const uint32_t taken = std::min(size, io_.BufferSize(s.in.group) - s.in_end);
      std::memcpy(io_.BufferData(s.in.group, s.in.id) + s.in_end, io_.BufferData(got.group, got.id), taken);
      s.in_end += taken;
      KeepRest(s, got, taken, size);
      return ParseRequest(s);
    }
    case SessionState::kExchange: {
      Exchange& e = exchanges_[s.exchange];
      if (e.state == ExchangeState::kTunnel) return OnStreamBytes(e, true, got, 0, size);
      if (e.request.received_all) {  // pipelined: kept until its turn
        s.in = got;
        s.in_begin = 0;
        s.in_end = size;
        s.scanned = 0;
        return;
      }
      if (e.state == ExchangeState::kWaiting || e.state == ExchangeState::kResponding) {
        return OnRequestBody(e, got, size);
      }
      return ReturnBuffer(got);  // a body nobody wants any more; the session ends with this exchange
    }
    case SessionState::kLinger:
      ReturnBuffer(got);
      s.linger_bytes += size;
      if (s.linger_bytes > kLingerBytesMax) return CloseSession(s);
      return ArmClientRecv(s);
    case SessionState::kClosing:
      return;
  }
}

template <Io IoType>
void Worker<IoType>::OnClientEnded(Session& s) {
  s.input_ended = true;
  if (s.state != SessionState::kExchange) return CloseSession(s);
  Exchange& e = exchanges_[s.exchange];
  if (e.state == ExchangeState::kTunnel) return OnStreamEnded(e, true);
  if (e.state == ExchangeState::kQueued) {
    // Most who end while they wait have given up. One who only half-closed, which nobody can tell, is not left without an answer.
    ServiceOf(e).client_aborts_total.Add();
    EndAs(e, End::kClientGone);
    e.close_after = true;
    return GiveUpWait(e);
  }
  if (!e.request.received_all && e.state != ExchangeState::kReplying && e.state != ExchangeState::kUnbinding) {
    return OnClientGone(s);  // its request will never be whole
  }
  e.close_after = true;  // half-closed: it may still read
}

template <Io IoType>
void Worker<IoType>::OnClientGone(Session& s) {
  if (s.state == SessionState::kExchange) {
    Exchange& e = exchanges_[s.exchange];
    if (e.service != kNoHandle) ServiceOf(e).client_aborts_total.Add();
    EndAs(e, End::kClientGone);
  }
  CloseSession(s);
}

// The session is between requests; pipelined bytes may be there already.
template <Io IoType>
[[gnu::always_inline]] inline void Worker<IoType>::NextRequest(Session& s) {
  const ListenerEntry* listener = Listener(s);
  if (listener == nullptr || stopping_) return EndSession(s);
  s.state = SessionState::kIdle;
  s.fresh = false;
  if (s.in.held()) return ParseRequest(s);
  SetDeadline(s, listener->client_idle_timeout_ms);
  if (!s.expecting()) ArmClientRecv(s);
}

static_assert(kBadReasonNames.size() == static_cast<size_t>(BadReason::kStatus) + 1);

template <Io IoType>
void Worker<IoType>::ParseRequest(Session& s) {
  const ListenerEntry* listener = Listener(s);
  if (listener == nullptr) return CloseSession(s);
  char* data = io_.BufferData(s.in.group, s.in.id);
  const RequestRules rules{{listener->head_bytes_max, listener->target_bytes_max}, s.trusted, true};
  // Parsed where it will stay: most heads are whole.
  const uint32_t slot = exchanges_.Allocate();
  if (slot == kNoSlot) {
    CountLimit(Limit::kExchanges);
    return CloseSession(s);
  }
  RequestHead& head = exchanges_[slot].head;
  const HeadError error = ParseRequestHead(data + s.in_begin, s.in_end - s.in_begin, rules, s.scanned, head);
  if (error == HeadError::kNone) [[likely]] return BeginExchange(s, AttachExchange(s, slot), *listener, data + s.in_begin);
  const BadReason reason = head.bad_reason;
  exchanges_.Free(slot);
  switch (error) {
    case HeadError::kNone:
    case HeadError::kIncomplete:
      break;
    case HeadError::kBad:
      CountersOf(s).bad_requests_total[static_cast<size_t>(reason)].Add();
      return RefuseRequest(s, 400, Refusal::kBadRequest);
    case HeadError::kTooLarge:
      return RefuseRequest(s, 431, Refusal::kHeadTooLarge);
    case HeadError::kTargetTooLong:
      return RefuseRequest(s, 414, Refusal::kTargetTooLong);
    case HeadError::kVersion:
      return RefuseRequest(s, 505, Refusal::kVersion);
    case HeadError::kNotImplemented:
      return RefuseRequest(s, 501, Refusal::kNotImplemented);
  }
  if (s.in_begin > 0) {  // the tail of a buffer that earlier requests filled
    std::memmove(data, data + s.in_begin, s.in_end - s.in_begin);
    s.in_end -= s.in_begin;
    s.in_begin = 0;
  }
  if (s.in_end == io_.BufferSize(s.in.group)) return RefuseRequest(s, 431, Refusal::kHeadTooLarge);
  // The head's time begins with its first byte; that of a session's first head began with the session.
  if (s.state == SessionState::kIdle && !s.fresh) SetDeadline(s, listener->head_timeout_ms);
  s.state = SessionState::kHead;
  if (!s.receiving && !s.input_ended) return ArmClientRecv(s);
  if (s.input_ended) CloseSession(s);
}

template <Io IoType>
Exchange* Worker<IoType>::OpenExchange(Session& s) {
  const uint32_t slot = exchanges_.Allocate();
  if (slot == kNoSlot) return nullptr;
  Exchange& e = AttachExchange(s, slot);
  new (&e.head) RequestHead;
  return &e;
}

template <Io IoType>
Exchange& Worker<IoType>::AttachExchange(Session& s, uint32_t slot) {
  Exchange& e = exchanges_[slot];
  e.session = SlotOf(s);
  e.start_us = io_.NowUs();
  s.exchange = slot;
  s.state = SessionState::kExchange;
  return e;
}

constexpr End EndOf(Refusal refusal) { return static_cast<End>(static_cast<size_t>(End::kBadRequest) + static_cast<size_t>(refusal)); }
static_assert(EndOf(Refusal::kNoRoute) == End::kNoRoute);

// The connection is not in a state from which a next request could be told: answer and close.
template <Io IoType>
void Worker<IoType>::RefuseRequest(Session& s, uint16_t status, Refusal refusal) {
  CountersOf(s).refused_total[static_cast<size_t>(refusal)].Add();
  Exchange* e = OpenExchange(s);
  if (e == nullptr) {
    CountLimit(Limit::kExchanges);
    return CloseSession(s);
  }
  e->close_after = true;
  e->reply_status = status;
  e->end = EndOf(refusal);
  std::string_view head{io_.BufferData(s.in.group, s.in.id) + s.in_begin, s.in_end - s.in_begin};
  while (head.starts_with('\r') || head.starts_with('\n')) head.remove_prefix(1);
  NoteUnparsed(*e, head);
  e->head_only = head.starts_with("HEAD ");
  SendReply(*e);
}

// The head begins at `data`.
template <Io IoType>
void Worker<IoType>::BeginExchange(Session& s, Exchange& e, const ListenerEntry& listener, char* data) {
  const RequestHead& head = e.head;
  e.head_only = head.method == Method::kHead;
  e.close_after = !head.keep_alive || s.input_ended || Closing();
  e.request_buffer = s.in;
  e.request_begin = s.in_begin;
  const uint32_t available = s.in_end - s.in_begin - head.size;
  CountersOf(s).requests_total.Add();
  const bool framed = FrameRequest(e, data + head.size, available);
  if (available > e.body_first && framed) {
    e.request_shared = true;
    s.in_begin += head.size + e.body_first;
    s.scanned = 0;
  } else {
    s.in = {};
  }
  if (Logs(&listener)) NoteExchange(e, data);
  e.bytes_received = head.size + e.body_first;
  if (!framed || head.method == Method::kConnect) {
    const Refusal refusal = framed ? Refusal::kNotImplemented : Refusal::kBadRequest;
    CountersOf(s).refused_total[static_cast<size_t>(refusal)].Add();
    e.close_after = true;
    e.end = EndOf(refusal);
    e.reply_status = framed ? 501 : 400;
    return SendReply(e);
  }
  e.service = MatchRoute(listener, {data + head.host.offset, head.host.size}, {data + head.path.offset, head.path.size});
  if (e.service == kNoHandle) {
    CountersOf(s).refused_total[static_cast<size_t>(Refusal::kNoRoute)].Add();
    e.end = End::kNoRoute;
    e.reply_status = 404;
    return SendReply(e);
  }
  ServiceCounters& counters = ServiceOf(e);
  counters.requests_total.Add();
  counters.exchanges_in_flight.Add();
  WriteForwarded(e, data, available == 0);
  ChooseEndpoint(e);
}

// How much of the `available` bytes after the head, at `body`, is body. False when they break their coding.
template <Io IoType>
bool Worker<IoType>::FrameRequest(Exchange& e, const char* body, uint32_t available) {
  Flow& flow = e.request;
  if (e.head.chunked) {
    flow.framing = Framing::kChunked;
    const auto result = flow.chunks.Scan(body, available, e.body_first);
    flow.received_all = result == ChunkScanner::Result::kDone;
    return result != ChunkScanner::Result::kBad;
  }
  flow.framing = Framing::kLength;
  e.body_first = static_cast<uint32_t>(std::min<uint64_t>(available, e.head.length));
  flow.remaining = e.head.length - e.body_first;
  flow.received_all = flow.remaining == 0;
  return true;
}

// A part of the body behind the first one, to be sent at once: no send is under way, or none would have been received.
template <Io IoType>
void Worker<IoType>::OnRequestBody(Exchange& e, BufferRef got, uint32_t size) {
  Session& s = SessionOf(e);
  Flow& flow = e.request;
  const char* data = io_.BufferData(got.group, got.id);
  uint32_t body = size;
  NoteBulk(flow, size);
  if (flow.framing == Framing::kLength) {
    body = static_cast<uint32_t>(std::min<uint64_t>(size, flow.remaining));
    flow.remaining -= body;
    flow.received_all = flow.remaining == 0;
  } else {
    const auto result = flow.chunks.Scan(data, size, body);
    if (result == ChunkScanner::Result::kBad) {
      ReturnBuffer(got);
      CountersOf(s).refused_total[static_cast<size_t>(Refusal::kBadRequest)].Add();
      EndAs(e, End::kBadRequest);
      if (e.state == ExchangeState::kResponding) return OnClientGone(s);
      e.close_after = true;
      e.reply_status = 400;
      return GiveUp(e, Next::kReply);
    }
    flow.received_all = result == ChunkScanner::Result::kDone;
  }
  e.bytes_received += body;
  if (body < size) {  // pipelined bytes: the session owns the buffer, and it outlives the send
    s.in = got;
    s.in_begin = body;
    s.in_end = size;
    s.scanned = 0;
  } else {
    flow.buffer = got;
  }
  // Nobody takes it any more: what still comes is read when the session lingers.
  if (e.upstream == kNoSlot || e.request_dead || upstreams_[e.upstream].state == UpstreamState::kClosing) {
    return ReturnBuffer(flow.buffer);
  }
  flow.slices[0] = {data, body};
  flow.slice_at = 0;
  flow.slice_count = body > 0 ? 1 : 0;
  if (!flow.unsent()) return OnRequestSent(e);
  if (got.group == Group::kLarge) return PushRequest(e);
  SubmitUpstreamSend(e);
}

}  // namespace ringway::dp
