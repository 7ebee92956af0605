// Worker: streams, that is TCP sessions and those upgraded by a 101: bytes both ways until both ends have ended.
#pragma once

#include "dataplane/core/worker.h"

namespace ringway::dp {

// A TCP session has one exchange for its life; nothing is read from the client before an endpoint is there.
template <Io IoType>
void Worker<IoType>::OpenStream(Session& s) {
  Exchange* e = OpenExchange(s);
  if (e == nullptr) {
    CountLimit(Limit::kExchanges);
    return CloseSession(s);
  }
  e->close_after = true;
  NoteUnparsed(*e, {});
  e->service = MatchRoute(*Listener(s), {}, {});
  if (e->service == kNoHandle) {
    e->end = End::kNoRoute;
    return SendReply(*e);
  }
  ServiceOf(*e).requests_total.Add();
  ServiceOf(*e).exchanges_in_flight.Add();
  ChooseEndpoint(*e);
}

template <Io IoType>
void Worker<IoType>::BeginTunnel(Exchange& e) {
  Session& s = SessionOf(e);
  e.state = ExchangeState::kTunnel;
  e.upstream_keep = false;
  balancer_.Endpoint(e.endpoint).streak.Answered();
  ReleaseRequest(e);
  const BufferRef early = e.response.buffer;  // stream bytes right behind a 101
  const uint32_t early_begin = e.response_begin, early_end = e.response_end;
  e.request = Flow{};
  e.response = Flow{};
  e.request.framing = e.response.framing = Framing::kUntilClose;
  SetDeadline(s, Settings(e).tunnel_timeout_ms);
  if (early.held() && early_begin < early_end) {
    OnStreamBytes(e, false, early, early_begin, early_end);
  } else {
    BufferRef none = early;
    ReturnBuffer(none);
    ArmUpstreamRecv(upstreams_[e.upstream]);
  }
  if (s.in.held()) {
    const BufferRef first = s.in;
    s.in = {};
    OnStreamBytes(e, true, first, s.in_begin, s.in_end);
  } else if (s.input_ended) {
    OnStreamEnded(e, true);
  } else if (!s.expecting()) {
    ArmClientRecv(s);
  }
}

template <Io IoType>
void Worker<IoType>::OnStreamBytes(Exchange& e, bool from_client, BufferRef got, uint32_t begin, uint32_t end) {
  Flow& flow = from_client ? e.request : e.response;
  flow.buffer = got;
  flow.slices[0] = {io_.BufferData(got.group, got.id) + begin, end - begin};
  flow.slice_at = 0;
  flow.slice_count = 1;
  NoteBulk(flow, end - begin);
  if (from_client) e.bytes_received += end - begin;
  SetDeadline(e, Settings(e).tunnel_timeout_ms);
  const bool large = got.group == Group::kLarge;
  if (from_client) return large ? PushRequest(e) : SubmitUpstreamSend(e);
  return large ? PushResponse(e) : SubmitClientSend(e);
}

template <Io IoType>
void Worker<IoType>::OnStreamSent(Exchange& e, bool to_client) {
  ReturnBuffer(to_client ? e.response.buffer : e.request.buffer);
  if (to_client) ArmUpstreamRecv(upstreams_[e.upstream]);
  else ArmClientRecv(SessionOf(e));
}

// One direction has ended, with nothing of it unsent: a stream is received only when its last bytes have gone.
template <Io IoType>
void Worker<IoType>::OnStreamEnded(Exchange& e, bool from_client) {
  Session& s = SessionOf(e);
  (from_client ? e.request : e.response).received_all = true;
  if (e.request.received_all && e.response.received_all) return CloseSession(s);
  io_.Shutdown(from_client ? upstreams_[e.upstream].fd : s.fd);
}

}  // namespace ringway::dp
