// Worker: bulk, that is long bodies and streams. Small messages are cheapest as operations of the ring; bulk is not: a batch of
// receives fills as many large buffers, and each is cold again when it is sent from. Here a socket that is ready waits in a row
// for its turn, and its bytes are moved at once: into a pipe (or a large buffer, where the framing has to be looked at, or no
// pipe is to be had) and out of it. What the other side does not take stays there, and the other side is waited for.
//
// Nobody waits behind bulk for long: at most kMoveBytesMax for one socket's turn, kTurnBytesMax in one turn of the loop.
// docs/adr/0005 has the figures.
#pragma once

#include <algorithm>

#include "dataplane/core/worker.h"

namespace ringway::dp {

// A length says it; of others the last receive does.
template <Io IoType>
bool Worker<IoType>::IsBulk(const Flow& flow) const {
  return flow.framing == Framing::kLength ? flow.remaining >= io_.BufferSize(Group::kSmall) : flow.bulk;
}

template <Io IoType>
void Worker<IoType>::AwaitBulk(Socket& from, const Flow& flow, uint32_t key, Tag tag) {
  from.receiving = from.armed = from.polling_in = !flow.eager;
  if (flow.eager) return Queue(from, key);
  io_.PollIn(from.fd, tag);
}

template <Io IoType>
void Worker<IoType>::Queue(Socket& socket, uint32_t key) {
  socket.queued = true;
  Append(queued_, key);
}

template <Io IoType>
void Worker<IoType>::RunBulk() {
  for (uint32_t moved = 0; moved < kTurnBytesMax && !queued_.empty();) {
    const uint32_t key = TakeFirst(queued_);
    SocketOf(key).queued = false;
    if (FreeIfClosing(key)) continue;
    const bool upstream = (key & kUpstreamKey) != 0;
    const uint32_t bytes = upstream ? MoveFromUpstream(upstreams_[key & ~kUpstreamKey]) : MoveFromClient(sessions_[key]);
    moved += std::max(bytes, kMoveBytesMin);
  }
}

// Nothing could be moved, and the next receive is one into a small buffer: there is no other, or the socket was said to be ready
// and was not. The second is rare, and a receive waits properly then: polling again could go on for ever.
template <Io IoType>
bool Worker<IoType>::TakesSmall(int32_t result, bool polled) {
  const Verdict verdict = Judge(result);
  return verdict == Verdict::kNoBuffers || (verdict == Verdict::kAgain && polled);
}

// Bytes moved. What it was queued for may be over: then the exchange gives up its upstream or answers, a body of which a part has
// been sent is not tried again, and the session ends by lingering, which receives.
template <Io IoType>
uint32_t Worker<IoType>::MoveFromClient(Session& s) {
  if (s.state != SessionState::kExchange) {
    ArmClientRecv(s);
    return 0;
  }
  Exchange& e = exchanges_[s.exchange];
  const bool wanted = e.state == ExchangeState::kTunnel || e.state == ExchangeState::kWaiting || e.state == ExchangeState::kResponding;
  if (!wanted || e.upstream == kNoSlot || e.request_dead || upstreams_[e.upstream].state == UpstreamState::kClosing) return 0;
  BufferRef got;
  const bool polled = !e.request.eager;
  const int32_t result = ReceiveBulk(e.request, s.fd, got);
  if (result <= 0) {
    if (!TakesSmall(result, polled)) OnClientNothing(s, result);
    else {
      s.receiving = true;
      Receive(s, TagOf(s));
    }
    return 0;
  }
  const auto size = static_cast<uint32_t>(result);
  CountersOf(s).bytes_received_total.Add(size);
  if (got.held()) {
    OnClientBytes(s, got, size);
  } else {
    e.bytes_received += size;
    if (e.state == ExchangeState::kTunnel) SetDeadline(s, Settings(e).tunnel_timeout_ms);
    PushRequest(e);
  }
  return size;
}

template <Io IoType>
uint32_t Worker<IoType>::MoveFromUpstream(Upstream& u) {
  Exchange& e = exchanges_[u.exchange];
  BufferRef got;
  const bool head_unsent = e.response.unsent();
  const bool polled = !e.response.eager;
  const int32_t result = ReceiveBulk(e.response, u.fd, got);
  if (result <= 0 && head_unsent) {  // what comes of the body, if anything, follows later
    SubmitClientSend(e);
    return 0;
  }
  if (result <= 0) {
    if (!TakesSmall(result, polled)) OnUpstreamNothing(u, e, result);
    else {
      u.receiving = true;
      Receive(u, TagOf(u));
    }
    return 0;
  }
  const auto size = static_cast<uint32_t>(result);
  EndpointOf(e).bytes_received_total.Add(size);
  if (got.held()) {
    OnUpstreamBytes(e, got, size);
  } else {
    if (e.state == ExchangeState::kTunnel) SetDeadline(e, Settings(e).tunnel_timeout_ms);
    else if (e.response.received_all) ReleaseUpstream(e);
    PushResponse(e);
  }
  return size;
}

// Into flow.pipe, or into `got` (not while a head waits to be sent with what comes). As the result of a receive; -ENOBUFS where neither is to be had, and a small buffer does.
template <Io IoType>
int32_t Worker<IoType>::ReceiveBulk(Flow& flow, int fd, BufferRef& got) {
  const bool chunked = flow.framing == Framing::kChunked || flow.framing == Framing::kStripChunked;
  uint32_t size = kMoveBytesMax;
  if (flow.framing == Framing::kLength) size = static_cast<uint32_t>(std::min<uint64_t>(size, flow.remaining));
  flow.eager = false;
  int32_t result = -ENOBUFS;
  if (splice_ && !chunked) result = ReceivePiped(flow, fd, size);
  if (result == -ENOBUFS && !flow.unsent()) {
    got = {io_.TakeLarge(), Group::kLarge};
    if (!got.held()) {
      CountLimit(Limit::kBuffersLarge);
      return result;
    }
    size = std::min(size, io_.BufferSize(Group::kLarge));
    result = io_.ReceiveNow(fd, io_.BufferData(got.group, got.id), size);
    if (result <= 0) ReturnBuffer(got);
  }
  flow.eager = result == static_cast<int32_t>(size);
  return result;
}

// -ENOBUFS, with nothing received, where a buffer has to do.
template <Io IoType>
int32_t Worker<IoType>::ReceivePiped(Flow& flow, int fd, uint32_t size) {
  const int32_t pipe = io_.TakePipe();
  if (pipe < 0) {
    CountLimit(Judge(pipe) == Verdict::kLimit ? Limit::kFiles : Limit::kPipes);
    return -ENOBUFS;
  }
  flow.pipe = static_cast<uint16_t>(pipe);
  counters_.worker.pipes_used.Add();
  const int32_t result = io_.SpliceIn(fd, flow.pipe, size);
  if (result > 0) {
    flow.piped = static_cast<uint32_t>(result);
    NotePiped(flow);
    return result;
  }
  ReleasePipe(flow);
  if (result != -EOPNOTSUPP) return result;
  splice_ = false;
  shared_.bulk.store(BulkBy::kCopySpliceRefused, std::memory_order_relaxed);
  return -ENOBUFS;
}

// What the handlers of received bytes do for those in a buffer.
template <Io IoType>
void Worker<IoType>::NotePiped(Flow& flow) {
  NoteBulk(flow, flow.piped);
  if (flow.framing != Framing::kLength) return;
  flow.remaining -= flow.piped;
  flow.received_all = flow.remaining == 0;
}

// Slices first, then what is in the pipe, as far as the socket takes it. One that takes nothing of something, and gives no
// reason, would be asked for ever: the connection is given up.
template <Io IoType>
typename Worker<IoType>::Pushed Worker<IoType>::PushNow(Flow& flow, int fd) {
  Pushed pushed;
  while (flow.slice_at < flow.slice_count) {
    const uint32_t count = static_cast<uint32_t>(flow.slice_count - flow.slice_at);
    const int32_t sent = io_.SendNow(fd, &flow.slices[flow.slice_at], count, flow.piped > 0);
    if (sent <= 0) {
      pushed.error = sent < 0 ? sent : kNothingTaken;
      return pushed;
    }
    pushed.copied += static_cast<uint64_t>(sent);
    Advance(flow, static_cast<size_t>(sent));
  }
  while (flow.piped > 0) {
    const int32_t sent = io_.SpliceOut(flow.pipe, fd, flow.piped);
    if (sent <= 0) {
      pushed.error = sent < 0 ? sent : kNothingTaken;
      return pushed;
    }
    pushed.spliced += static_cast<uint64_t>(sent);
    flow.piped -= static_cast<uint32_t>(sent);
  }
  ReleaseFlow(flow);
  return pushed;
}

template <Io IoType>
void Worker<IoType>::PushRequest(Exchange& e) {
  Upstream& u = upstreams_[e.upstream];
  const Pushed pushed = PushNow(e.request, u.fd);
  e.sent_any = e.sent_any || pushed.copied + pushed.spliced > 0;
  EndpointOf(e).bytes_sent_total.Add(pushed.copied + pushed.spliced);
  const bool tunnel = e.state == ExchangeState::kTunnel;
  if (pushed.error == 0) return tunnel ? OnStreamSent(e, false) : OnRequestSent(e);
  const Verdict verdict = Judge(pushed.error);
  if (verdict != Verdict::kAgain) return OnUpstreamSendFailed(e, verdict);
  if (pushed.copied + pushed.spliced > 0) {
    SetDeadline(e, tunnel ? Settings(e).tunnel_timeout_ms : Settings(e).idle_timeout_ms);
  }
  u.sending = u.polling_out = true;
  io_.PollOut(u.fd, {Op::kUpstreamSend, SlotOf(u), u.generation});
}

template <Io IoType>
void Worker<IoType>::PushResponse(Exchange& e) {
  Session& s = SessionOf(e);
  const Pushed pushed = PushNow(e.response, s.fd);
  CountersOf(s).bytes_sent_total.Add(pushed.copied + pushed.spliced);
  e.bytes_sent += pushed.copied + pushed.spliced;
  counters_.worker.bytes_copied_total.Add(pushed.copied);
  counters_.worker.bytes_spliced_total.Add(pushed.spliced);
  const bool tunnel = e.state == ExchangeState::kTunnel;
  if (pushed.error == 0) return tunnel ? OnStreamSent(e, true) : OnResponseSent(e);
  const Verdict verdict = Judge(pushed.error);
  if (verdict != Verdict::kAgain) {
    if (verdict == Verdict::kUnexpected) counters_.worker.unexpected_total.Add();
    return OnClientGone(s);
  }
  if (pushed.copied + pushed.spliced > 0) {
    SetDeadline(s, tunnel ? Settings(e).tunnel_timeout_ms : Settings(e).idle_timeout_ms);
  }
  s.sending = s.polling_out = true;
  io_.PollOut(s.fd, {Op::kClientSend, SlotOf(s), s.generation});
}

// A pipe with bytes left in it is of no use to anybody else.
template <Io IoType>
void Worker<IoType>::ReleasePipe(Flow& flow) {
  if (flow.pipe == kNoPipe) return;
  io_.ReturnPipe(flow.pipe, flow.piped == 0);
  counters_.worker.pipes_used.Sub();
  flow.pipe = kNoPipe;
  flow.piped = 0;
}

template <Io IoType>
void Worker<IoType>::ReleaseFlow(Flow& flow) {
  ReturnBuffer(flow.buffer);
  ReleasePipe(flow);
}

}  // namespace ringway::dp
