// Worker: from the response's first byte to the end of the exchange; our own replies.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>

#include "dataplane/core/forward.h"
#include "dataplane/core/worker.h"

namespace ringway::dp {

// What a receive brought: bytes in `got`, or the end, or an error.
template <Io IoType>
[[gnu::always_inline]] inline void Worker<IoType>::OnFromUpstream(Upstream& u, BufferRef got, int32_t result) {
  if (u.state == UpstreamState::kIdle) {  // closed by the endpoint, bytes that nobody asked for, or no longer watched: not fit for reuse
    ReturnBuffer(got);
    if (result < 0 && Judge(result) == Verdict::kUnexpected) counters_.worker.unexpected_total.Add();
    if (result > 0) counters_.endpoints[u.endpoint].failures_total.Add();
    return CloseUpstream(u);
  }
  Exchange& e = exchanges_[u.exchange];
  if (result > 0) return OnUpstreamBytes(e, got, static_cast<uint32_t>(result));
  ReturnBuffer(got);
  OnUpstreamNothing(u, e, result);
}

// A receive that brought no bytes.
template <Io IoType>
void Worker<IoType>::OnUpstreamNothing(Upstream& u, Exchange& e, int32_t result) {
  if (result == 0) return OnUpstreamEnded(e, false);
  switch (Judge(result)) {
    case Verdict::kAgain:
      return ArmUpstreamRecv(u);
    case Verdict::kNoBuffers:
      return ParkUpstream(u);
    case Verdict::kUnexpected:
      counters_.worker.unexpected_total.Add();
      return OnUpstreamEnded(e, true);
    default:
      return OnUpstreamEnded(e, true);
  }
}

template <Io IoType>
void Worker<IoType>::OnUpstreamBytes(Exchange& e, BufferRef got, uint32_t size) {
  if (e.state == ExchangeState::kTunnel) return OnStreamBytes(e, false, got, 0, size);
  if (e.state == ExchangeState::kResponding) return OnResponseBody(e, got, size);
  if (!e.sent_any) {  // bytes behind the last response, or from one who speaks unasked: they answer nothing
    ReturnBuffer(got);
    return FailExchange(e, Failure::kEarly);
  }
  if (!e.response_seen) {
    e.response_seen = true;
    EndpointCounters& endpoint = EndpointOf(e);
    const uint64_t us = io_.NowUs() - e.attempt_us;
    e.response_us = Span32(us);
    endpoint.response_time_us_total.Add(us);
    endpoint.response_time_us_ewma.Set(endpoint.response_time_us_ewma.Get() * 7 / 8 + us / 8);
    if (!upstreams_[e.upstream].sending) ReleaseRequest(e);
  }
  if (BufferRef& buffer = e.response.buffer; !buffer.held()) {
    buffer = got;
    e.response_begin = 0;
    e.response_end = size;
    e.response_scanned = 0;
  } else {  // the rest of a head goes behind its first part
    const uint32_t taken = std::min(size, io_.BufferSize(buffer.group) - e.response_end);
    std::memcpy(io_.BufferData(buffer.group, buffer.id) + e.response_end, io_.BufferData(got.group, got.id), taken);
    e.response_end += taken;
    KeepRest(upstreams_[e.upstream], got, taken, size);
  }
  ParseResponse(e);
}

template <Io IoType>
void Worker<IoType>::OnUpstreamEnded(Exchange& e, bool reset) {
  switch (e.state) {
    case ExchangeState::kTunnel:
      if (!reset) return OnStreamEnded(e, false);
      EndAs(e, End::kEndpointCut);
      return CloseSession(SessionOf(e));
    case ExchangeState::kResponding:
      if (e.response.framing != Framing::kUntilClose || reset) return CutResponse(e);
      e.response.received_all = true;
      ReleaseUpstream(e);
      e.next = Next::kFinish;
      return Settle(e);
    default:
      return FailExchange(e, e.response_seen ? Failure::kBadResponse : Failure::kEarly);
  }
}

template <Io IoType>
void Worker<IoType>::ParseResponse(Exchange& e) {
  char* data = io_.BufferData(e.response.buffer.group, e.response.buffer.id);
  ResponseHead head;
  const HeadError error = ParseResponseHead(data + e.response_begin, e.response_end - e.response_begin, kResponseHeadMax,
                                            e.response_scanned, head);
  if (error == HeadError::kNone) return head.status < 200 ? OnInterim(e, head) : StartResponse(e, head, data + e.response_begin);
  if (error == HeadError::kIncomplete && e.response_begin > 0) {
    std::memmove(data, data + e.response_begin, e.response_end - e.response_begin);
    e.response_end -= e.response_begin;
    e.response_begin = 0;
  }
  const bool full = e.response_end == io_.BufferSize(e.response.buffer.group);
  if (error != HeadError::kIncomplete || full) return FailExchange(e, Failure::kBadResponse);
  ArmUpstreamRecv(upstreams_[e.upstream]);
}

// 1xx: passed on at once, the final response follows. They do not extend the response time-out.
template <Io IoType>
void Worker<IoType>::OnInterim(Exchange& e, ResponseHead& head) {
  const bool request_whole = e.request.received_all && !e.request.unsent();
  if (head.status == 101 && !(e.head.upgrade && head.upgrade && request_whole)) return FailExchange(e, Failure::kBadResponse);
  char* data = io_.BufferData(e.response.buffer.group, e.response.buffer.id) + e.response_begin;
  e.response_begin += head.size;
  e.response_scanned = 0;
  e.interim = head.status;
  Flow& flow = e.response;
  flow.slice_at = flow.slice_count = 0;
  if (e.head.minor_version == 0) return OnResponseSent(e);  // RFC 9110 section 15.2: never to a 1.0 client
  const std::string_view inserted = head.status == 101 ? "Connection: Upgrade\r\n" : "";
  flow.slice_count = static_cast<uint8_t>(ForwardResponse(data, head, inserted, 0, flow.slices.data()));
  CountResponse(e, head.status);
  if (head.status == 101) NoteLatency(e, e.response_us, false);
  SubmitClientSend(e);
}

// The head begins at `data`.
template <Io IoType>
void Worker<IoType>::StartResponse(Exchange& e, ResponseHead& head, char* data) {
  Session& s = SessionOf(e);
  Flow& flow = e.response;
  const uint32_t available = e.response_end - e.response_begin - head.size;
  e.upstream_keep = head.keep_alive;
  uint32_t body = 0;
  if (!FrameResponse(e, head, data + head.size, available, body)) return FailExchange(e, Failure::kBadResponse);
  if (flow.framing == Framing::kStripChunked) AddCut(head.cuts, head.coding_line);
  const bool request_whole = e.request.received_all && !e.request.unsent() && !e.request_dead;
  if (!request_whole) e.upstream_keep = false;
  if (!request_whole || Closing() || Listener(s) == nullptr) e.close_after = true;
  std::string_view inserted = e.close_after ? "Connection: close\r\n" : "";
  if (!e.close_after && e.head.minor_version == 0) inserted = "Connection: keep-alive\r\n";
  flow.slice_at = 0;
  flow.slice_count = static_cast<uint8_t>(ForwardResponse(data, head, inserted, body, flow.slices.data()));
  e.state = ExchangeState::kResponding;
  if (e.logged) [[unlikely]] NoteResponseHead(e, body);
  CountResponse(e, head.status);
  NoteAnswer(e, head.status);
  SetDeadline(e, Settings(e).idle_timeout_ms);
  // Before the send: what its next receive brings must be seen before the client's next request can take it.
  if (flow.received_all) ReleaseUpstream(e);
  // The head's receive filled its buffer: more of the body is there, and is sent in one with it.
  if (flow.framing == Framing::kLength && splice_ && IsBulk(flow) && e.response_end == io_.BufferSize(Group::kSmall)) {
    Upstream& u = upstreams_[e.upstream];
    if (!u.armed && !u.inbox.any()) return Queue(u, KeyOf(u));
  }
  SubmitClientSend(e);
}

// RFC 9112 section 6.3. `body` of the `available` bytes after the head, at `data`, are to be sent with it. False when they break
// their coding.
template <Io IoType>
bool Worker<IoType>::FrameResponse(Exchange& e, const ResponseHead& head, char* data, uint32_t available, uint32_t& body) {
  Flow& flow = e.response;
  uint32_t consumed = available;
  body = available;
  if (e.head_only || head.status == 204 || head.status == 304) {
    flow.framing = Framing::kNone;
    flow.received_all = true;
    consumed = body = 0;
  } else if (head.chunked) {
    const bool strip = e.head.minor_version == 0;
    flow.framing = strip ? Framing::kStripChunked : Framing::kChunked;
    const auto result = strip ? flow.chunks.Strip(data, available, consumed, body) : flow.chunks.Scan(data, available, consumed);
    if (!strip) body = consumed;
    if (result == ChunkScanner::Result::kBad) return false;
    flow.received_all = result == ChunkScanner::Result::kDone;
    if (strip) e.close_after = true;
  } else if (head.has_length) {
    flow.framing = Framing::kLength;
    consumed = body = static_cast<uint32_t>(std::min<uint64_t>(available, head.length));
    flow.remaining = head.length - body;
    flow.received_all = flow.remaining == 0;
  } else {
    flow.framing = Framing::kUntilClose;
    e.upstream_keep = false;
    e.close_after = true;
  }
  if (consumed < available) e.upstream_keep = false;  // it sent more than it said
  NoteBulk(flow, e.response_end);
  return true;
}

template <Io IoType>
void Worker<IoType>::OnResponseBody(Exchange& e, BufferRef got, uint32_t size) {
  Flow& flow = e.response;
  char* data = io_.BufferData(got.group, got.id);
  uint32_t consumed = size, body = size;
  flow.buffer = got;
  NoteBulk(flow, size);
  if (flow.framing == Framing::kLength) {
    consumed = body = static_cast<uint32_t>(std::min<uint64_t>(size, flow.remaining));
    flow.remaining -= body;
    flow.received_all = flow.remaining == 0;
  } else if (flow.framing != Framing::kUntilClose) {
    const bool strip = flow.framing == Framing::kStripChunked;
    const auto result = strip ? flow.chunks.Strip(data, size, consumed, body) : flow.chunks.Scan(data, size, consumed);
    if (!strip) body = consumed;
    if (result == ChunkScanner::Result::kBad) return CutResponse(e);
    flow.received_all = result == ChunkScanner::Result::kDone;
  }
  if (consumed < size) e.upstream_keep = false;
  flow.slices[0] = {data, body};
  flow.slice_at = 0;
  flow.slice_count = body > 0 ? 1 : 0;
  if (flow.received_all) ReleaseUpstream(e);
  if (!flow.unsent()) return OnResponseSent(e);
  return got.group == Group::kLarge ? PushResponse(e) : SubmitClientSend(e);
}

// The response is received; what is still to be sent is in our buffer.
template <Io IoType>
void Worker<IoType>::ReleaseUpstream(Exchange& e) {
  Upstream& u = upstreams_[e.upstream];
  if (e.upstream_keep && !u.sending) PoolUpstream(u);
  else CloseUpstream(u);
}

// What is sent now is the last of its session: Finish then ends it.
template <Io IoType>
bool Worker<IoType>::EndsSession(const Exchange& e) {
  return e.close_after && (e.state == ExchangeState::kReplying || (e.state == ExchangeState::kResponding && e.response.received_all));
}

template <Io IoType>
void Worker<IoType>::SubmitClientSend(Exchange& e) {
  Session& s = SessionOf(e);
  Flow& flow = e.response;
  s.sending = true;
  io_.Send(s.fd, &flow.slices[flow.slice_at], static_cast<uint32_t>(flow.slice_count - flow.slice_at),
           {Op::kClientSend, e.session, s.generation}, EndsSession(e));
}

template <Io IoType>
void Worker<IoType>::OnClientSent(uint32_t slot, const Completion& c) {
  Session& s = sessions_[slot];
  if (s.generation != c.tag.generation) return counters_.worker.unexpected_total.Add();
  s.sending = false;
  Exchange& e = exchanges_[s.exchange];
  if (s.state == SessionState::kClosing) return Settle(e);
  if (std::exchange(s.polling_out, false)) return PushResponse(e);
  if (c.result < 0) {
    const Verdict verdict = Judge(c.result);
    if (verdict == Verdict::kAgain) return SubmitClientSend(e);
    if (verdict == Verdict::kUnexpected) counters_.worker.unexpected_total.Add();
    return OnClientGone(s);
  }
  const auto sent = static_cast<size_t>(c.result);
  CountersOf(s).bytes_sent_total.Add(sent);
  counters_.worker.bytes_copied_total.Add(sent);
  e.bytes_sent += sent;
  Advance(e.response, sent);
  if (e.response.unsent()) {
    if (e.state == ExchangeState::kResponding) SetDeadline(s, Settings(e).idle_timeout_ms);
    if (e.state == ExchangeState::kTunnel) SetDeadline(s, Settings(e).tunnel_timeout_ms);
    return SubmitClientSend(e);
  }
  if (e.state == ExchangeState::kTunnel) return OnStreamSent(e, true);
  OnResponseSent(e);
}

// Everything received so far has been sent.
template <Io IoType>
void Worker<IoType>::OnResponseSent(Exchange& e) {
  Flow& flow = e.response;
  if (e.state == ExchangeState::kUnbinding) return Settle(e);
  if (e.interim != 0) {
    const bool upgraded = e.interim == 101;
    e.interim = 0;
    if (upgraded) return BeginTunnel(e);
    if (e.response_begin < e.response_end) return ParseResponse(e);
    ReturnBuffer(flow.buffer);
    return ArmUpstreamRecv(upstreams_[e.upstream]);
  }
  ReturnBuffer(flow.buffer);
  if (e.state == ExchangeState::kReplying || flow.received_all) {
    if (e.upstream == kNoSlot && !SessionOf(e).sending) [[likely]] return Finish(e);
    e.next = Next::kFinish;
    return Settle(e);
  }
  SetDeadline(e, Settings(e).idle_timeout_ms);
  ArmUpstreamRecv(upstreams_[e.upstream]);
}

// A response that cannot be completed: the client must see that it is cut (RFC 9112 section 8).
template <Io IoType>
void Worker<IoType>::CutResponse(Exchange& e) {
  EndpointOf(e).failures_total.Add();
  ServiceOf(e).failed_total.Add();
  NoteLatency(e, e.response_us, true);  // its head was an answer
  EndAs(e, End::kEndpointCut);
  CloseSession(SessionOf(e));
}

template <Io IoType>
void Worker<IoType>::SendReply(Exchange& e) {
  Session& s = SessionOf(e);
  if (e.service != kNoHandle && (e.reply_status == 502 || e.reply_status == 504)) ServiceOf(e).failed_total.Add();
  if (s.tcp) return CloseSession(s);
  ReturnBuffer(e.response.buffer);
  ReleaseRequest(e);
  ReleaseFlow(e.request);
  if (!e.request.received_all || Closing() || Listener(s) == nullptr) e.close_after = true;
  ReplyOptions options;
  options.status = e.reply_status;
  // A 1.0 client would have to be told that the connection stays.
  if (e.head.minor_version == 0) e.close_after = true;
  options.keep_alive = !e.close_after;
  options.head_only = e.head_only;
  if (e.reply_status == 503) options.retry_after_s = Settings(e).retry_after_s;
  e.state = ExchangeState::kReplying;
  e.interim = 0;
  e.response = Flow{};
  e.response.slices[0] = {e.text.data(), WriteReply(options, e.text.data())};
  e.response.slice_count = 1;
  if (e.logged) [[unlikely]] NoteResponseHead(e, ReplyBodySize(options));
  CountResponse(e, e.reply_status);
  SetDeadline(s, kReplyTimeoutMs);
  SubmitClientSend(e);
}

template <Io IoType>
[[gnu::always_inline]] inline void Worker<IoType>::CountResponse(Exchange& e, uint16_t status) {
  const size_t kind = status / 100;
  if (status >= 200 || status == 101) e.status = status;
  CountersOf(SessionOf(e)).responses_total[kind].Add();
  if (e.service == kNoHandle) return;
  ServiceOf(e).responses_total[kind].Add();
  if (status >= 200) ServiceOf(e).response_time.Record(io_.NowUs() - e.start_us);
  if (e.endpoint != kNoHandle) EndpointOf(e).responses_total[kind].Add();
}

template <Io IoType>
[[gnu::always_inline]] inline void Worker<IoType>::Finish(Exchange& e) {
  Session& s = SessionOf(e);
  const bool close = e.close_after || s.input_ended;
  FreeExchange(e);
  if (close) return EndSession(s);
  NextRequest(s);
}

// Goes on with `next` when nothing of the exchange is in flight any more: no upstream is bound to it and no send to the
// client reads its memory.
template <Io IoType>
void Worker<IoType>::Settle(Exchange& e) {
  Session& s = SessionOf(e);
  if (e.upstream != kNoSlot || s.sending) return;
  const Next next = e.next;
  e.next = Next::kNothing;
  switch (next) {
    case Next::kNothing:
      return;
    case Next::kRetryOrReply:
      if (e.reply_status != 502) e.reply_status = e.sent_any ? 502 : 503;  // 503 says that nobody got it
      if (!MayRetry(e)) return SendReply(e);
      ReturnBuffer(e.response.buffer);
      e.retry_due = !e.pooled_died;
      e.request_dead = false;
      e.sent_any = false;
      e.close_after = !e.head.keep_alive || s.input_ended || Closing();
      return ChooseEndpoint(e);
    case Next::kReply:
      return SendReply(e);
    case Next::kFinish:
      return Finish(e);
    case Next::kDrop:
      FreeExchange(e);
      return TryFreeSession(s);
  }
}

}  // namespace ringway::dp
