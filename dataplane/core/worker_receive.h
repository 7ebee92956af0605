// Worker: receives. A socket's receive is armed once and brings one message after the other (multishot): a small message then
// costs no submission and no poll of its own. The handlers still ask for the next bytes, one piece at a time (`receiving`). What
// comes unasked is kept in the socket's inbox, in order, and handed on at the end of the turn in which it is asked for.
//
// Nobody keeps much: at kKeptMax buffers the receive is asked to end, and what comes after that waits in the socket as it should;
// until then the kernel may have filled some more. Bulk is not received this way at all: a connection starts with single receives, and goes back to them when one fills its buffer or outruns the other
// side, until a few were short. docs/adr/0013 has the figures.
#pragma once

#include <cstring>
#include <utility>

#include "dataplane/core/worker.h"

namespace ringway::dp {

template <Io IoType>
void Worker<IoType>::ArmClientRecv(Session& s) {
  const Flow* flow = s.state == SessionState::kExchange ? &exchanges_[s.exchange].request : nullptr;
  Arm(s, flow != nullptr && IsBulk(*flow) ? flow : nullptr);
}

// Bound: the response's head or body. Idle: to see the endpoint close; the same receive then brings the next response.
template <Io IoType>
void Worker<IoType>::ArmUpstreamRecv(Upstream& u) {
  const Exchange* e = u.exchange != kNoSlot ? &exchanges_[u.exchange] : nullptr;
  const bool bulk = e != nullptr && e->state != ExchangeState::kWaiting && IsBulk(e->response);
  Arm(u, bulk ? &e->response : nullptr);
}

// The next bytes are wanted; of `bulk`, where it is not null. That begins when what the ring has of the socket is handed on.
template <Io IoType>
template <class Connection>
void Worker<IoType>::Arm(Connection& socket, const Flow* bulk) {
  socket.receiving = true;
  if (socket.inbox.any()) {
    if (!std::exchange(socket.due, true)) Append(due_, KeyOf(socket));
    return;
  }
  if (bulk != nullptr) return socket.armed ? Disarm(socket, TagOf(socket)) : AwaitBulk(socket, *bulk, KeyOf(socket), TagOf(socket));
  if (!socket.armed) Receive(socket, TagOf(socket));
}

template <Io IoType>
void Worker<IoType>::Receive(Socket& socket, Tag tag) {
  socket.armed = true;
  io_.RecvSelect(socket.fd, tag, socket.inbox.singles == 0 && !BuffersLow());
}

template <Io IoType>
void Worker<IoType>::Disarm(Socket& socket, Tag tag) {
  if (!socket.armed || std::exchange(socket.disarming, true)) return;
  io_.Cancel(tag);
}

template <Io IoType>
void Worker<IoType>::OnClientReceived(uint32_t slot, const Completion& c) {
  Session& s = sessions_[slot];
  BufferRef got{c.buffer, Group::kSmall};
  if (s.generation != c.tag.generation) {
    counters_.worker.unexpected_total.Add();
    return ReturnBuffer(got);
  }
  if (!c.more) s.armed = s.disarming = false;
  if (s.state == SessionState::kClosing) {
    ReturnBuffer(got);
    return TryFreeSession(s);
  }
  if (std::exchange(s.polling_in, false) && c.result > 0) {
    s.receiving = false;
    return Queue(s, KeyOf(s));
  }
  if (c.result > 0) CountersOf(s).bytes_received_total.Add(static_cast<uint64_t>(c.result));
  if (!IsPlain(s, c) && !Admit(s, c)) return;
  if (c.result == -ECANCELED) return ArmClientRecv(s);
  s.receiving = false;
  OnFromClient(s, got, c.result);
}

template <Io IoType>
void Worker<IoType>::OnUpstreamReceived(uint32_t slot, const Completion& c) {
  Upstream& u = upstreams_[slot];
  BufferRef got{c.buffer, Group::kSmall};
  if (u.generation != c.tag.generation) {
    counters_.worker.unexpected_total.Add();
    return ReturnBuffer(got);
  }
  if (!c.more) u.armed = u.disarming = false;
  if (u.state == UpstreamState::kClosing) {
    ReturnBuffer(got);
    return TryFreeUpstream(u);
  }
  if (std::exchange(u.polling_in, false) && c.result > 0) {
    u.receiving = false;
    return Queue(u, KeyOf(u));
  }
  if (c.result > 0) counters_.endpoints[u.endpoint].bytes_received_total.Add(static_cast<uint64_t>(c.result));
  if (!IsPlain(u, c) && !Admit(u, c)) return;
  if (c.result == -ECANCELED) return ArmUpstreamRecv(u);
  u.receiving = false;
  OnFromUpstream(u, got, c.result);
}

// What most are: bytes that are wanted now, not a buffer full, of a receive that goes on. Admit would change nothing.
template <Io IoType>
bool Worker<IoType>::IsPlain(const Socket& socket, const Completion& c) const {
  return socket.receiving && c.more && c.result > 0 && c.result < static_cast<int32_t>(io_.BufferSize(Group::kSmall)) &&
         !socket.inbox.any();
}

// True when it is wanted now. Otherwise bytes, and what ended the receive, are kept; what only this receive met is forgotten.
template <Io IoType>
bool Worker<IoType>::Admit(Socket& socket, const Completion& c) {
  Inbox& inbox = socket.inbox;
  const bool full = c.result >= static_cast<int32_t>(io_.BufferSize(Group::kSmall));
  if (full) inbox.singles = Inbox::kSinglesMax;
  else if (inbox.singles > 0 && c.result > 0 && !c.more) --inbox.singles;
  const bool wanted = socket.receiving && !inbox.any();
  if (!wanted && c.result > 0) {
    Keep(inbox, c.buffer, static_cast<uint32_t>(c.result));
  } else if (!wanted) {
    BufferRef none{c.buffer, Group::kSmall};
    ReturnBuffer(none);
    const Verdict verdict = c.result == 0 ? Verdict::kGone : Judge(c.result);
    const bool passes = verdict == Verdict::kNoBuffers || verdict == Verdict::kAgain || verdict == Verdict::kCanceled;
    if (!passes) inbox.result = c.result;
  }
  if (c.more && (full || inbox.count >= kKeptMax || (!wanted && BuffersLow()))) {
    inbox.singles = Inbox::kSinglesMax;
    Disarm(socket, c.tag);
  }
  return wanted;
}

template <Io IoType>
void Worker<IoType>::Keep(Inbox& inbox, uint16_t buffer, uint32_t size) {
  kept_[buffer] = {kNoBuffer, size};
  if (inbox.count++ == 0) inbox.first = buffer;
  else kept_[inbox.last].next = buffer;
  inbox.last = buffer;
}

// What did not fit behind a head comes first of what follows: moved to its buffer's beginning. It is rare.
template <Io IoType>
void Worker<IoType>::KeepRest(Socket& socket, BufferRef got, uint32_t begin, uint32_t end) {
  if (begin == end) return ReturnBuffer(got);
  char* data = io_.BufferData(got.group, got.id);
  std::memmove(data, data + begin, end - begin);
  Inbox& inbox = socket.inbox;
  kept_[got.id] = {inbox.first, end - begin};
  if (inbox.count++ == 0) inbox.last = got.id;
  inbox.first = got.id;
}

template <Io IoType>
void Worker<IoType>::DropKept(Socket& socket) {
  for (Inbox& inbox = socket.inbox; inbox.count > 0; --inbox.count) {
    io_.ReturnBuffer(Group::kSmall, inbox.first);
    inbox.first = kept_[inbox.first].next;
  }
}

// What was kept and is wanted: a piece for each socket.
template <Io IoType>
void Worker<IoType>::HandOn() {
  SocketList due = std::exchange(due_, {});
  while (!due.empty()) {
    const uint32_t key = TakeFirst(due);
    Socket& socket = SocketOf(key);
    socket.due = false;
    if (FreeIfClosing(key)) continue;
    socket.receiving = false;
    Inbox& inbox = socket.inbox;
    BufferRef got;
    int32_t result;
    if (inbox.count > 0) {
      got.id = inbox.first;
      result = static_cast<int32_t>(kept_[got.id].size);
      inbox.first = kept_[got.id].next;
      --inbox.count;
    } else {
      result = std::exchange(inbox.result, Inbox::kNoResult);
    }
    if ((key & kUpstreamKey) != 0) OnFromUpstream(upstreams_[key & ~kUpstreamKey], got, result);
    else OnFromClient(sessions_[key], got, result);
  }
}

}  // namespace ringway::dp
