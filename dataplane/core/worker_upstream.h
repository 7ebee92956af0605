// Worker: upstreams. The pool, connecting, sending a request, and what happens when an endpoint fails.
#pragma once

#include <cstring>
#include <utility>

#include "dataplane/core/forward.h"
#include "dataplane/core/worker.h"

namespace ringway::dp {

// Those who wait for room are not overtaken by one who has just come.
template <Io IoType>
[[gnu::always_inline]] inline void Worker<IoType>::ChooseEndpoint(Exchange& e) {
  if (waiting_room_ != 0 && e.attempts == 0 && waits_[e.service].room.count != 0) {
    // A retry may wait although there is room where it has failed: then this one goes there, at the end of this turn.
    if (exchanges_[waits_[e.service].room.head].attempts != 0) Wake(e.service);
    return BeginWait(e, WaitFor::kRoom);
  }
  const Choice choice = Choose(e);
  if (choice.endpoint != nullptr) [[likely]] return BindChosen(e, *choice.endpoint);
  if (choice.full) return !e.retry_due || PayRetry(e) ? BeginWait(e, WaitFor::kRoom) : SendReply(e);
  if (Settings(e).hold_timeout_ms > 0) return BeginWait(e, WaitFor::kEndpoint);
  if (e.attempts == 0) {
    ServiceOf(e).no_endpoint_total.Add();
    e.end = End::kNoEndpoint;
    e.reply_status = 503;
  }
  SendReply(e);
}

// Only its pooled upstream has died, and nobody else is to be had: a new connection to the same endpoint may do.
template <Io IoType>
Choice Worker<IoType>::ChooseAgain(const Exchange& e, bool full) {
  const Choice again = balancer_.Choose(e.service, e.tried.data(), e.tried_count - 1u, io_.NowUs());
  return {again.endpoint, full || again.full};
}

template <Io IoType>
[[gnu::always_inline]] inline void Worker<IoType>::BindChosen(Exchange& e, const EndpointEntry& endpoint) {
  if (e.attempts > 0) {
    if (e.retry_due && !PayRetry(e)) return SendReply(e);
    CountRetry(e, endpoint.handle);
    e.end = End::kDone;
  }
  ++e.attempts;
  e.attempt_us = io_.NowUs();
  if (BindPooled(e, endpoint)) return SendRequest(e);
  if (BindNew(e, endpoint, Settings(e))) return;
  e.end = End::kNoResources;
  e.reply_status = 503;
  SendReply(e);
}

template <Io IoType>
void Worker<IoType>::CountRetry(Exchange& e, EndpointHandle to) {
  ServiceOf(e).retries_total.Add();
  if (e.pooled_died) ServiceOf(e).retries_pooled_total.Add();
  e.pooled_died = false;
  if (e.tried_count == 0 || e.tried[e.tried_count - 1u] == to) return;
  counters_.endpoints[e.tried[e.tried_count - 1u]].moved_total.Add();
}

// False when the retry is beyond the budget.
template <Io IoType>
bool Worker<IoType>::PayRetry(Exchange& e) {
  ServiceCounters& service = ServiceOf(e);
  e.retry_due = !budgets_[e.service].Spend(Settings(e), retry_burst_, service.requests_total.Get(), io_.NowUs());
  if (e.retry_due) service.retries_denied_total.Add();
  return !e.retry_due;
}

template <Io IoType>
[[gnu::always_inline]] inline bool Worker<IoType>::BindPooled(Exchange& e, const EndpointEntry& endpoint) {
  const uint32_t slot = balancer_.Endpoint(endpoint.handle).idle_head;
  if (slot == kNoSlot || e.fresh_only || SessionOf(e).tcp) return false;
  Upstream& u = upstreams_[slot];
  UnlinkIdle(u);
  Bind(e, u, endpoint.handle).reuses_total.Add();
  u.state = UpstreamState::kBound;
  e.reused = true;
  e.connect_us = 0;
  return true;
}

// False when no descriptor or slot is to be had.
template <Io IoType>
bool Worker<IoType>::BindNew(Exchange& e, const EndpointEntry& endpoint, const ServiceEntry& service) {
  // Idle ones make room before the slots run out: closing takes a turn.
  if (upstreams_.capacity() - upstreams_.in_use() <= upstreams_.capacity() / 8 || FilesShort()) EvictIdle();
  const uint32_t slot = upstreams_.Allocate();
  if (slot == kNoSlot) {
    CountLimit(Limit::kUpstreams);
    return false;
  }
  const int fd = io_.OpenSocket(endpoint.address);
  if (fd < 0) {
    CountLimit(Limit::kFiles);
    upstreams_.Free(slot);
    EvictIdle();
    return false;
  }
  Upstream& u = upstreams_[slot];
  e.reused = false;
  u.fd = fd;
  u.endpoint = endpoint.handle;
  u.service = e.service;
  wheel_.Init(TimerOf(u));
  EndpointCounters& counters = Bind(e, u, endpoint.handle);
  e.reused = false;
  e.connect_us = kNever;
  e.state = ExchangeState::kConnecting;
  counters.upstreams_open.Add();
  counters.connects_total.Add();
  SetDeadline(e, service.connect_timeout_ms);
  u.connecting = true;
  io_.Connect(fd, endpoint.address, {Op::kConnect, slot, u.generation});
  return true;
}

// The endpoint's counters: there is more to count.
template <Io IoType>
[[gnu::always_inline]] inline EndpointCounters& Worker<IoType>::Bind(Exchange& e, Upstream& u, EndpointHandle endpoint) {
  u.exchange = SlotOf(e);
  e.upstream = SlotOf(u);
  e.endpoint = endpoint;
  e.served_by = endpoint;
  balancer_.Acquire(endpoint);
  EndpointCounters& counters = counters_.endpoints[endpoint];
  counters.exchanges_in_flight.Add();
  counters.exchanges_total.Add();
  return counters;
}

template <Io IoType>
[[gnu::always_inline]] inline void Worker<IoType>::Unbind(Exchange& e) {
  balancer_.Release(e.endpoint);
  if (waiting_room_ != 0) NoteRoom(e.endpoint);
  EndpointOf(e).exchanges_in_flight.Sub();
  e.upstream = kNoSlot;
  e.endpoint = kNoHandle;
}

template <Io IoType>
void Worker<IoType>::OnConnected(uint32_t slot, const Completion& c) {
  Upstream& u = upstreams_[slot];
  if (u.generation != c.tag.generation) return counters_.worker.unexpected_total.Add();
  u.connecting = false;
  if (u.state == UpstreamState::kClosing) return TryFreeUpstream(u);
  Exchange& e = exchanges_[u.exchange];
  if (c.result < 0) {
    const Verdict verdict = Judge(c.result);
    if (verdict == Verdict::kUnexpected) counters_.worker.unexpected_total.Add();
    const bool at_once = io_.NowUs() - e.attempt_us < kRefusedAtOnceUs;
    if (verdict != Verdict::kLimit && at_once && e.refused < kRefusedMax) ++e.refused;
    return FailExchange(e, verdict == Verdict::kLimit ? Failure::kLocal : Failure::kConnect);
  }
  u.state = UpstreamState::kBound;
  e.connect_us = Span32(io_.NowUs() - e.attempt_us);
  if (SessionOf(e).tcp) {
    NoteLatency(e, e.connect_us, false);
    return BeginTunnel(e);
  }
  ArmUpstreamRecv(u);
  SendRequest(e);
}

template <Io IoType>
void Worker<IoType>::SendRequest(Exchange& e) {
  e.state = ExchangeState::kWaiting;
  char* data = io_.BufferData(e.request_buffer.group, e.request_buffer.id) + e.request_begin;
  Flow& flow = e.request;
  flow.slice_at = 0;
  flow.slice_count = static_cast<uint8_t>(
      ForwardRequest(data, e.head, {e.text.data(), e.text_size}, e.body_first, flow.slices.data()));
  const ServiceEntry& service = Settings(e);
  SetDeadline(e, flow.received_all ? service.response_timeout_ms : service.idle_timeout_ms);
  e.response_due = flow.received_all;
  SubmitUpstreamSend(e);
}

// Written once a request, while its listener is sure to be there. X-Forwarded-For is appended to what a trusted proxy sent, -Port
// and -Proto are set (where a trusted proxy forwards for somebody, its own stay). Where the head is alone in its buffer they are
// written behind it, over its blank line, so that all of it is one slice.
template <Io IoType>
void Worker<IoType>::WriteForwarded(Exchange& e, char* data, bool alone) {
  const Session& s = SessionOf(e);
  const uint32_t head_end = e.request_begin + e.head.size;
  const bool in_place = alone && io_.BufferSize(e.request_buffer.group) - head_end >= kForwardedMax;
  char* const begin = in_place ? data + e.head.size - 2 : e.text.data();
  char* p = begin;
  constexpr std::string_view kFor = "X-Forwarded-For: ", kUpgrade = "Connection: Upgrade\r\n", kLineEnd = "\r\n";
  std::memcpy(p, kFor.data(), kFor.size());
  p += kFor.size();
  p += FormatIp(s.peer, p);
  const ListenerState& listener = listeners_[s.listener];
  std::memcpy(p, listener.forwarded.data(), kForwardedRestMax);
  p += e.head.forwarded_for.size == 0 ? listener.forwarded_size : kLineEnd.size();
  if (e.head.upgrade) {
    std::memcpy(p, kUpgrade.data(), kUpgrade.size());
    p += kUpgrade.size();
  }
  if (in_place) {
    std::memcpy(p, kLineEnd.data(), kLineEnd.size());
    e.head.size += static_cast<uint32_t>(p - begin);
  } else {
    e.text_size = static_cast<uint16_t>(p - begin);
  }
}

template <Io IoType>
void Worker<IoType>::SubmitUpstreamSend(Exchange& e) {
  Upstream& u = upstreams_[e.upstream];
  Flow& flow = e.request;
  u.sending = true;
  io_.Send(u.fd, &flow.slices[flow.slice_at], static_cast<uint32_t>(flow.slice_count - flow.slice_at),
           {Op::kUpstreamSend, e.upstream, u.generation}, false);
}

template <Io IoType>
void Worker<IoType>::OnUpstreamSent(uint32_t slot, const Completion& c) {
  Upstream& u = upstreams_[slot];
  if (u.generation != c.tag.generation) return counters_.worker.unexpected_total.Add();
  u.sending = false;
  if (u.state == UpstreamState::kClosing) {
    if (c.result > 0 && !u.polling_out) {
      counters_.endpoints[u.endpoint].bytes_sent_total.Add(static_cast<uint64_t>(c.result));
      if (u.exchange != kNoSlot) exchanges_[u.exchange].sent_any = true;
    }
    return TryFreeUpstream(u);
  }
  Exchange& e = exchanges_[u.exchange];
  if (std::exchange(u.polling_out, false)) return PushRequest(e);
  if (c.result < 0) {
    const Verdict verdict = Judge(c.result);
    return verdict == Verdict::kAgain ? SubmitUpstreamSend(e) : OnUpstreamSendFailed(e, verdict);
  }
  e.sent_any = e.sent_any || c.result > 0;
  EndpointOf(e).bytes_sent_total.Add(static_cast<uint64_t>(c.result));
  Advance(e.request, static_cast<size_t>(c.result));
  if (e.request.unsent()) {
    SetDeadline(e, e.state == ExchangeState::kTunnel ? Settings(e).tunnel_timeout_ms : Settings(e).idle_timeout_ms);
    e.response_due = false;
    return SubmitUpstreamSend(e);
  }
  if (e.state == ExchangeState::kTunnel) return OnStreamSent(e, false);
  OnRequestSent(e);
}

template <Io IoType>
void Worker<IoType>::OnUpstreamSendFailed(Exchange& e, Verdict verdict) {
  if (verdict == Verdict::kUnexpected) counters_.worker.unexpected_total.Add();
  if (e.state == ExchangeState::kTunnel) {
    EndAs(e, End::kEndpointCut);
    return CloseSession(SessionOf(e));
  }
  // Not because the endpoint went away: it will wait for the rest, and nobody receives from the client meanwhile.
  if (verdict != Verdict::kGone && e.state == ExchangeState::kWaiting) {
    return FailExchange(e, verdict == Verdict::kUnexpected ? Failure::kEarly : Failure::kLocal);
  }
  // An answer may have come before the endpoint stopped reading (413, say). The receive tells: it ends too.
  e.request_dead = true;
  e.request.slice_at = e.request.slice_count;
  e.close_after = true;
  ReleaseFlow(e.request);
}

// Everything received so far has been sent.
template <Io IoType>
void Worker<IoType>::OnRequestSent(Exchange& e) {
  Session& s = SessionOf(e);
  ReturnBuffer(e.request.buffer);
  if (!e.request.received_all) {
    ReleaseRequest(e);
    SetDeadline(s, Settings(e).idle_timeout_ms);
    if (!s.expecting()) ArmClientRecv(s);
    return;
  }
  // An idempotent request is kept until its response begins, to be sent elsewhere if this endpoint dies, while buffers last.
  const bool keep = e.head.method_idempotent && !e.response_seen && io_.BuffersFree(Group::kSmall) >= kBuffersReserve;
  if (!keep) ReleaseRequest(e);
  if (e.state == ExchangeState::kWaiting && !e.response_due) SetDeadline(s, Settings(e).response_timeout_ms);
  if (!s.in.held() && !s.expecting() && !s.input_ended) Arm(s, nullptr);  // for the next request
}

template <Io IoType>
void Worker<IoType>::ReleaseRequest(Exchange& e) {
  e.replayable = false;
  if (e.request_shared) e.request_buffer = {};
  else ReturnBuffer(e.request_buffer);
}

// The upstream is quiet: what of the request has gone out is known for sure.
template <Io IoType>
bool Worker<IoType>::MayRetry(const Exchange& e) const {
  if (!e.replayable && !SessionOf(e).tcp) return false;
  if (e.response_seen || e.attempts > Settings(e).retries_max + e.refused + (e.fresh_only ? 1u : 0u)) return false;
  // RFC 9110 section 9.2.2: what is not idempotent is sent again only when nothing of it had been sent.
  return !e.sent_any || e.head.method_idempotent;
}

// The exchange gives up its upstream, then tries another endpoint or answers for it.
template <Io IoType>
void Worker<IoType>::FailExchange(Exchange& e, Failure failure) {
  CountFailure(e, failure);
  // One pooled upstream that died says little about its endpoint: the next attempt takes a new connection, elsewhere if it can.
  e.pooled_died = e.reused && failure == Failure::kEarly;
  e.fresh_only = e.fresh_only || e.pooled_died;
  if (e.tried_count == kTriedMax) --e.tried_count;
  e.tried[e.tried_count++] = e.endpoint;
  if (failure == Failure::kConnect || failure == Failure::kEarly || failure == Failure::kLocal) {
    return GiveUp(e, Next::kRetryOrReply);
  }
  e.reply_status = failure == Failure::kTimeout ? 504 : 502;
  GiveUp(e, Next::kReply);
}

template <Io IoType>
void Worker<IoType>::CountFailure(Exchange& e, Failure failure) {
  EndpointCounters& endpoint = EndpointOf(e);
  switch (failure) {
    case Failure::kConnect:
      endpoint.connect_failures_total.Add();
      EndAs(e, End::kConnectFailed);
      return NoteFailure(e, EjectionReason::kConnect);
    case Failure::kLocal:  // our own shortage
      endpoint.connect_failures_total.Add();
      EndAs(e, End::kNoResources);
      return CountLimit(Limit::kFiles);
    case Failure::kTimeout:
      endpoint.response_timeouts_total.Add();
      NoteLatency(e, io_.NowUs() - e.attempt_us, true);
      EndAs(e, End::kResponseTimeout);
      return NoteFailure(e, EjectionReason::kTimeout);
    case Failure::kEarly:
      endpoint.failures_total.Add();
      EndAs(e, End::kEndpointReset);
      if (e.reused) return;
      NoteLatency(e, io_.NowUs() - e.attempt_us, true);
      return NoteFailure(e, EjectionReason::kReset);
    case Failure::kBadResponse:
      NoteLatency(e, io_.NowUs() - e.attempt_us, true);
      EndAs(e, End::kBadResponse);
      return endpoint.failures_total.Add();
  }
}

template <Io IoType>
void Worker<IoType>::NoteFailure(Exchange& e, EjectionReason reason) {
  switch (balancer_.NoteFailure(e.endpoint, reason, e.attempt_us, io_.NowUs())) {
    case FailureVerdict::kCounted:
      return;
    case FailureVerdict::kDenied:
      return ServiceOf(e).ejections_denied_total.Add();
    case FailureVerdict::kEjected:
      EndpointOf(e).ejected_until_us.Set(balancer_.HealthOf(e.endpoint).ejected_until_us);
      EndpointOf(e).ejection_reason.Set(static_cast<uint64_t>(reason));
      EndpointOf(e).ejections_total.Add();
      counters_.worker.ejections_total.Add();
      return;
  }
}

// What the attempt took, for a service that chooses by it.
template <Io IoType>
void Worker<IoType>::NoteLatency(Exchange& e, uint64_t us, bool failed) {
  if (!balancer_.ByLatency(e.service)) return;
  if (failed) balancer_.NoteFailedLatency(e.endpoint, us, io_.NowUs());
  else balancer_.NoteLatency(e.endpoint, us, io_.NowUs());
}

// A final response has begun.
template <Io IoType>
void Worker<IoType>::NoteAnswer(Exchange& e, uint16_t status) {
  NoteLatency(e, e.response_us, status >= 500);
  if (status >= 500 && Settings(e).responses_5xx_max > 0) return NoteFailure(e, EjectionReason::k5xx);
  balancer_.Endpoint(e.endpoint).streak.Answered();
}

// Lets the upstream go; `next` follows when it is quiet, and an interim response that is under way has been sent. After a 101
// the client takes whatever comes for bytes of the stream: nothing may.
template <Io IoType>
void Worker<IoType>::GiveUp(Exchange& e, Next next) {
  Session& s = SessionOf(e);
  if (e.interim == 101) return CloseSession(s);
  e.next = next;
  e.state = ExchangeState::kUnbinding;
  if (s.sending) SetDeadline(s, kReplyTimeoutMs);
  // The endpoint may have switched protocols already, and then takes a FIN for the end of a stream.
  if (e.head.upgrade) upstreams_[e.upstream].reset = true;
  CloseUpstream(upstreams_[e.upstream]);
}

// The response ended as its framing says and the request was sent whole: the next exchange may have it. Beyond the service's number
// of idle ones it is kept for a moment: a steady load of many clients takes it again within milliseconds, and an endpoint with few
// places for connections (Apache's prefork) has its own back soon after the load has gone.
template <Io IoType>
void Worker<IoType>::PoolUpstream(Upstream& u) {
  EndpointState& endpoint = balancer_.Endpoint(u.endpoint);
  if (io_.NowUs() >= endpoint.sample_at_us) SamplePath(u);
  const ServiceEntry* service = balancer_.Service(u.service);
  const bool spoke = u.inbox.any();  // bytes behind the response, or its end
  if (spoke || stopping_ || service == nullptr || endpoint.service != u.service || service->upstreams_idle_max == 0) return CloseUpstream(u);
  const uint32_t kept_ms = endpoint.idle_count < service->upstreams_idle_max ? service->upstream_idle_timeout_ms
                                                                             : std::min(service->upstream_idle_timeout_ms, kSurplusIdleMs);
  Unbind(exchanges_[u.exchange]);
  u.exchange = kNoSlot;
  u.state = UpstreamState::kIdle;
  u.idle_previous = kNoSlot;
  u.idle_next = endpoint.idle_head;
  if (u.idle_next != kNoSlot) upstreams_[u.idle_next].idle_previous = SlotOf(u);
  else endpoint.idle_tail = SlotOf(u);
  endpoint.idle_head = SlotOf(u);
  ++endpoint.idle_count;
  ++idle_;
  counters_.endpoints[u.endpoint].upstreams_idle.Add();
  wheel_.Set(TimerOf(u), io_.NowUs() + uint64_t{kept_ms} * 1000);
  Arm(u, nullptr);
}

// What the kernel knows of the way to an endpoint: asked of one connection now and then, when it has just been used.
template <Io IoType>
void Worker<IoType>::SamplePath(Upstream& u) {
  EndpointState& endpoint = balancer_.Endpoint(u.endpoint);
  EndpointCounters& counters = counters_.endpoints[u.endpoint];
  const bool first_in_long = io_.NowUs() > endpoint.sample_at_us + kSampleStaleUs;
  endpoint.sample_at_us = io_.NowUs() + kSampleEveryUs;
  PathSample path;
  if (!io_.SamplePath(u.fd, path)) return;
  counters.segments_sampled_total.Add(path.segments_sent - u.segments_seen);
  counters.retransmits_sampled_total.Add(path.retransmits - u.retransmits_seen);
  u.segments_seen = path.segments_sent;
  u.retransmits_seen = path.retransmits;
  if (path.rtt_us == 0) return;
  const uint64_t before = counters.rtt_us_ewma.Get();
  // What is seldom asked is seldom corrected: an eighth of a new value would leave it what it was for minutes.
  counters.rtt_us_ewma.Set(before == 0 || first_in_long ? path.rtt_us : (before * 7 + path.rtt_us + 7) / 8);
  endpoint.rtt_us = static_cast<uint32_t>(counters.rtt_us_ewma.Get());
}

template <Io IoType>
[[gnu::always_inline]] inline void Worker<IoType>::UnlinkIdle(Upstream& u) {
  EndpointState& endpoint = balancer_.Endpoint(u.endpoint);
  if (u.idle_previous != kNoSlot) upstreams_[u.idle_previous].idle_next = u.idle_next;
  else endpoint.idle_head = u.idle_next;
  if (u.idle_next != kNoSlot) upstreams_[u.idle_next].idle_previous = u.idle_previous;
  else endpoint.idle_tail = u.idle_previous;
  --endpoint.idle_count;
  --idle_;
  counters_.endpoints[u.endpoint].upstreams_idle.Sub();
}

template <Io IoType>
void Worker<IoType>::CloseIdle(EndpointHandle endpoint) {
  while (balancer_.Endpoint(endpoint).idle_head != kNoSlot) CloseUpstream(upstreams_[balancer_.Endpoint(endpoint).idle_head]);
}

// Makes room by closing one pooled upstream, looking on from where the last look ended; a bounded look, there is always a next.
template <Io IoType>
void Worker<IoType>::EvictIdle() {
  for (uint32_t look = 0; idle_ > 0 && look < kEvictLooks; ++look) {
    evict_from_ = (evict_from_ + 1) % upstreams_.high_water();
    Upstream& u = upstreams_[evict_from_];
    if (u.fd >= 0 && u.state == UpstreamState::kIdle) return CloseUpstream(u);
  }
}

}  // namespace ringway::dp
