// Worker: receives that wait for a buffer, deadlines, and closing: cancel what is pending, wait for it, free.
#pragma once

#include <utility>

#include "dataplane/core/worker.h"

namespace ringway::dp {

// Where buffers are free again already, the receive is simply repeated.
template <Io IoType>
void Worker<IoType>::ParkClient(Session& s) {
  if (io_.BuffersFree(Group::kSmall) > 0) return ArmClientRecv(s);
  CountLimit(Limit::kBuffersSmall);
  s.parked = true;
  Append(parked_, KeyOf(s));
}

template <Io IoType>
void Worker<IoType>::ParkUpstream(Upstream& u) {
  if (io_.BuffersFree(Group::kSmall) > 0) return ArmUpstreamRecv(u);
  CountLimit(Limit::kBuffersSmall);
  u.parked = true;
  Append(parked_, KeyOf(u));
}

template <Io IoType>
Socket& Worker<IoType>::SocketOf(uint32_t key) {
  if ((key & kUpstreamKey) != 0) return upstreams_[key & ~kUpstreamKey];
  return sessions_[key];
}

template <Io IoType>
void Worker<IoType>::Append(SocketList& list, uint32_t key) {
  SocketOf(key).list_next = kNoSlot;
  if (list.empty()) list.head = key;
  else SocketOf(list.tail).list_next = key;
  list.tail = key;
}

template <Io IoType>
uint32_t Worker<IoType>::TakeFirst(SocketList& list) {
  const uint32_t key = list.head;
  list.head = SocketOf(key).list_next;
  if (list.empty()) list.tail = kNoSlot;
  return key;
}

// Just taken off a list. True when that was what its end waited for.
template <Io IoType>
bool Worker<IoType>::FreeIfClosing(uint32_t key) {
  if ((key & kUpstreamKey) != 0) {
    Upstream& u = upstreams_[key & ~kUpstreamKey];
    if (u.state != UpstreamState::kClosing) return false;
    TryFreeUpstream(u);
    return true;
  }
  if (sessions_[key].state != SessionState::kClosing) return false;
  TryFreeSession(sessions_[key]);
  return true;
}

// Wakes as many as buffers are free, first come first served. Those that are closing have waited long enough in any case.
template <Io IoType>
void Worker<IoType>::Unpark() {
  uint32_t free = io_.BuffersFree(Group::kSmall);
  SocketList waiting = std::exchange(parked_, {});
  while (!waiting.empty()) {
    const uint32_t key = TakeFirst(waiting);
    Socket& socket = SocketOf(key);
    socket.parked = false;
    if (FreeIfClosing(key)) continue;
    if (free == 0) {
      socket.parked = true;
      Append(parked_, key);
      continue;
    }
    --free;
    if ((key & kUpstreamKey) != 0) ArmUpstreamRecv(upstreams_[key & ~kUpstreamKey]);
    else ArmClientRecv(sessions_[key]);
  }
}

template <Io IoType>
void Worker<IoType>::OnDeadline(uint32_t timer) {
  if (timer < sessions_.capacity()) return OnSessionDeadline(sessions_[timer]);
  Upstream& u = upstreams_[timer - sessions_.capacity()];
  if (u.state != UpstreamState::kIdle) return;  // taken from the pool meanwhile
  CountTimeout(Timeout::kUpstreamIdle);
  CloseUpstream(u);
}

template <Io IoType>
void Worker<IoType>::OnSessionDeadline(Session& s) {
  switch (s.state) {
    case SessionState::kIdle:
      CountTimeout(s.fresh ? Timeout::kHead : Timeout::kClientIdle);
      return CloseSession(s);
    case SessionState::kHead:
      CountTimeout(Timeout::kHead);
      return RefuseRequest(s, 408, Refusal::kHeadTimeout);
    case SessionState::kExchange:
      return OnExchangeDeadline(s, exchanges_[s.exchange]);
    case SessionState::kLinger:
      CountTimeout(Timeout::kLinger);
      return CloseSession(s);
    case SessionState::kClosing:
      return;
  }
}

template <Io IoType>
void Worker<IoType>::OnExchangeDeadline(Session& s, Exchange& e) {
  switch (e.state) {
    case ExchangeState::kQueued:
      ServiceOf(e).wait_timeouts_total.Add();
      EndAs(e, e.waits_for == WaitFor::kRoom ? End::kQueueTimeout : End::kNoEndpoint);
      return GiveUpWait(e);
    case ExchangeState::kConnecting:
      CountTimeout(Timeout::kConnect);
      EndAs(e, End::kConnectTimeout);
      return FailExchange(e, Failure::kConnect);
    case ExchangeState::kWaiting:
      if (e.request.received_all || e.request.unsent()) {
        CountTimeout(Timeout::kResponse);
        return FailExchange(e, Failure::kTimeout);
      }
      CountTimeout(Timeout::kBodyIdle);  // the client owes the rest of its body
      EndAs(e, End::kBodyTimeout);
      e.close_after = true;
      e.reply_status = 408;
      return GiveUp(e, Next::kReply);
    case ExchangeState::kResponding:
      CountTimeout(Timeout::kBodyIdle);
      EndAs(e, e.endpoint != kNoHandle && !s.sending ? End::kEndpointStalled : End::kClientStalled);
      if (e.endpoint != kNoHandle && !s.sending) return CutResponse(e);
      return OnClientGone(s);  // it does not read
    case ExchangeState::kReplying:
      CountTimeout(Timeout::kBodyIdle);
      EndAs(e, End::kClientStalled);
      return CloseSession(s);
    case ExchangeState::kTunnel:
      CountTimeout(Timeout::kTunnel);
      EndAs(e, End::kIdleTimeout);
      return CloseSession(s);
    case ExchangeState::kUnbinding:
      if (!s.sending) return;  // its upstream is being cancelled, which ends by itself
      CountTimeout(Timeout::kBodyIdle);
      EndAs(e, End::kClientStalled);
      return OnClientGone(s);
  }
}

// After the last response. The client may still be sending, or have pipelined more than we have read: closing now would make
// the kernel send RST, and that could overtake the response (RFC 9112 section 9.6).
template <Io IoType>
void Worker<IoType>::EndSession(Session& s) {
  if (s.input_ended) return CloseSession(s);
  io_.Shutdown(s.fd);
  s.state = SessionState::kLinger;
  ReturnBuffer(s.in);
  SetDeadline(s, kLingerMs);
  if (!s.expecting()) ArmClientRecv(s);
}

template <Io IoType>
void Worker<IoType>::CloseSession(Session& s) {
  if (s.state == SessionState::kClosing) return;
  s.state = SessionState::kClosing;
  wheel_.Clear(TimerOf(s));
  const uint32_t slot = SlotOf(s);
  Disarm(s, TagOf(s));
  if (s.sending) io_.Cancel({Op::kClientSend, slot, s.generation});
  if (s.exchange == kNoSlot) return TryFreeSession(s);
  Exchange& e = exchanges_[s.exchange];
  MarkCut(s, e);
  if (e.state == ExchangeState::kQueued) EndWait(e);
  e.next = Next::kDrop;
  e.state = ExchangeState::kUnbinding;
  if (e.upstream != kNoSlot) CloseUpstream(upstreams_[e.upstream]);
  else Settle(e);
}

// Closing with an exchange under way cuts it, and a cut must not look like an end: where the end of the connection is the end
// of the message, only RST tells the two apart.
template <Io IoType>
void Worker<IoType>::MarkCut(Session& s, const Exchange& e) {
  const bool stream = s.tcp || e.state == ExchangeState::kTunnel || e.interim == 101;
  const Framing framing = e.response.framing;
  const bool until_close = framing == Framing::kUntilClose || framing == Framing::kStripChunked;
  if (stream ? !e.response.received_all : e.state == ExchangeState::kResponding && until_close) s.reset = true;
  // An endpoint that was asked to upgrade may have switched already.
  const bool stream_there = (stream && !e.request.received_all) || (e.head.upgrade && e.state == ExchangeState::kWaiting);
  if (stream_there && e.upstream != kNoSlot) upstreams_[e.upstream].reset = true;
}

template <Io IoType>
void Worker<IoType>::TryFreeSession(Session& s) {
  if (s.state != SessionState::kClosing || s.exchange != kNoSlot || !s.quiet()) return;
  ReturnBuffer(s.in);
  DropKept(s);
  if (s.reset) io_.Reset(s.fd);
  else io_.Close(s.fd);
  s.fd = -1;
  CountersOf(s).sessions_open.Sub();
  sessions_.Free(SlotOf(s));
  TellSessions();
}

template <Io IoType>
void Worker<IoType>::CloseUpstream(Upstream& u) {
  if (u.state == UpstreamState::kClosing) return;
  if (u.state == UpstreamState::kIdle) UnlinkIdle(u);
  if (u.state == UpstreamState::kBound && io_.NowUs() >= balancer_.Endpoint(u.endpoint).sample_at_us) SamplePath(u);
  u.state = UpstreamState::kClosing;
  wheel_.Clear(TimerOf(u));
  const uint32_t slot = SlotOf(u);
  if (u.connecting) io_.Cancel({Op::kConnect, slot, u.generation});
  Disarm(u, TagOf(u));
  if (u.sending) io_.Cancel({Op::kUpstreamSend, slot, u.generation});
  TryFreeUpstream(u);
}

template <Io IoType>
void Worker<IoType>::TryFreeUpstream(Upstream& u) {
  if (u.state != UpstreamState::kClosing || !u.quiet()) return;
  DropKept(u);
  if (u.reset) io_.Reset(u.fd);
  else io_.Close(u.fd);
  u.fd = -1;
  counters_.endpoints[u.endpoint].upstreams_open.Sub();
  const uint32_t exchange = u.exchange;
  upstreams_.Free(SlotOf(u));
  if (exchange == kNoSlot) return;
  Unbind(exchanges_[exchange]);
  Settle(exchanges_[exchange]);
}

template <Io IoType>
[[gnu::always_inline]] inline void Worker<IoType>::FreeExchange(Exchange& e) {
  if (e.logged) [[unlikely]] LogExchange(e);
  if (e.service != kNoHandle) ServiceOf(e).exchanges_in_flight.Sub();
  ReleaseRequest(e);
  ReleaseFlow(e.request);
  ReleaseFlow(e.response);
  SessionOf(e).exchange = kNoSlot;
  exchanges_.Free(SlotOf(e));
}

template <Io IoType>
void Worker<IoType>::ReturnBuffer(BufferRef& buffer) {
  if (!buffer.held()) return;
  io_.ReturnBuffer(buffer.group, buffer.id);
  buffer = {};
}

}  // namespace ringway::dp
