// Worker: requests that wait, because all endpoints of their service are full, or because there is none. One list for each of
// the two per service, first come first served, linked through Exchange; a deadline each; nothing else is held for them but the
// buffer the request came in. Woken at the end of a turn, never from within a handler.
#pragma once

#include <bit>

#include "dataplane/core/worker.h"

namespace ringway::dp {

template <Io IoType>
void Worker<IoType>::LinkWaiting(Exchange& e, WaitFor what) {
  WaitList& list = ListOf(e.service, what);
  e.waits_for = what;
  e.wait_next = kNoSlot;
  e.wait_previous = list.tail;
  (list.tail == kNoSlot ? list.head : exchanges_[list.tail].wait_next) = SlotOf(e);
  list.tail = SlotOf(e);
  ++list.count;
  if (what == WaitFor::kRoom) ++waiting_room_;
}

template <Io IoType>
void Worker<IoType>::UnlinkWaiting(Exchange& e) {
  WaitList& list = ListOf(e.service, e.waits_for);
  (e.wait_previous == kNoSlot ? list.head : exchanges_[e.wait_previous].wait_next) = e.wait_next;
  (e.wait_next == kNoSlot ? list.tail : exchanges_[e.wait_next].wait_previous) = e.wait_previous;
  --list.count;
  if (e.waits_for == WaitFor::kRoom) --waiting_room_;
}

// Whoever waits holds a buffer: some must be left for the requests that they wait for.
template <Io IoType>
bool Worker<IoType>::MayWait(const Exchange& e, WaitFor what) {
  const ServiceEntry& service = Settings(e);
  const uint32_t waiting = waits_[e.service].room.count + waits_[e.service].endpoint.count;
  if (stopping_ || waiting >= (what == WaitFor::kRoom ? service.queue_max : service.hold_max)) return false;
  if (SessionOf(e).tcp || io_.BuffersFree(Group::kSmall) >= kBuffersReserveWaiting) return true;
  CountLimit(Limit::kBuffersSmall);
  return false;
}

template <Io IoType>
void Worker<IoType>::BeginWait(Exchange& e, WaitFor what) {
  Session& s = SessionOf(e);
  if (!MayWait(e, what)) {
    ServiceOf(e).wait_full_total.Add();
    EndAs(e, End::kQueueFull);
    if (e.attempts == 0) e.reply_status = 503;
    return SendReply(e);
  }
  e.state = ExchangeState::kQueued;
  LinkWaiting(e, what);
  ServiceOf(e).waiting.Add();
  ServiceOf(e).waited_total.Add();
  SetDeadline(s, what == WaitFor::kRoom ? Settings(e).queue_timeout_ms : Settings(e).hold_timeout_ms);
  // To see the client go. Not where more of a body is to come: it would need a second buffer, which nobody else could use.
  if (!s.tcp && e.request.received_all && !s.in.held() && !s.expecting() && !s.input_ended) ArmClientRecv(s);
}

template <Io IoType>
void Worker<IoType>::EndWait(Exchange& e) {
  UnlinkWaiting(e);
  e.state = ExchangeState::kUnbinding;
  ServiceOf(e).waiting.Sub();
}

// Its time is over, its client has ended, or the worker stops.
template <Io IoType>
void Worker<IoType>::GiveUpWait(Exchange& e) {
  EndWait(e);
  EndAs(e, End::kNoEndpoint);
  if (e.attempts == 0) {
    if (e.waits_for == WaitFor::kEndpoint) ServiceOf(e).no_endpoint_total.Add();
    e.reply_status = 503;
  }
  SendReply(e);
}

template <Io IoType>
void Worker<IoType>::EndAllWaits() {
  for (ServiceWaits& waits : waits_) {
    for (WaitList* list : {&waits.room, &waits.endpoint}) {
      while (list->head != kNoSlot) {
        EndAs(exchanges_[list->head], End::kStopped);
        GiveUpWait(exchanges_[list->head]);
      }
    }
  }
}

template <Io IoType>
void Worker<IoType>::Wake(ServiceHandle service) {
  wake_[service / 64] |= uint64_t{1} << (service % 64);
  wake_any_ = true;
}

// An exchange has left the endpoint.
template <Io IoType>
void Worker<IoType>::NoteRoom(EndpointHandle endpoint) {
  const ServiceHandle service = balancer_.Endpoint(endpoint).service;
  if (service != kNoHandle && waits_[service].room.count != 0) Wake(service);
}

// An endpoint that was passed over may be chosen again, and nobody says so: looked at a few times a second.
template <Io IoType>
void Worker<IoType>::RecheckWaiting() {
  if (io_.NowUs() < recheck_us_) return;
  recheck_us_ = io_.NowUs() + kRecheckMs * 1000;
  for (ServiceHandle service = 0; service < kServicesMax; ++service) {
    if (waits_[service].room.count != 0) Wake(service);
  }
}

template <Io IoType>
void Worker<IoType>::WakeWaiting() {
  wake_any_ = false;
  for (uint32_t word = 0; word < wake_.size(); ++word) {
    const uint64_t woken = wake_[word];
    wake_[word] = 0;
    for (uint64_t bits = woken; bits != 0; bits &= bits - 1) {
      WakeService(word * 64 + static_cast<uint32_t>(std::countr_zero(bits)));
    }
  }
}

// In the order in which they came. The first that has not tried anything yet and finds no room tells that there is none.
template <Io IoType>
void Worker<IoType>::WakeService(ServiceHandle service) {
  ServiceWaits& waits = waits_[service];
  for (uint32_t slot = waits.room.head; slot != kNoSlot;) {
    Exchange& e = exchanges_[slot];
    slot = e.wait_next;
    const bool first_try = e.attempts == 0;
    if (!LeaveWait(e) && first_try && e.waits_for == WaitFor::kRoom) break;
  }
  if (!waits.changed) return;
  waits.changed = false;
  for (uint32_t slot = waits.endpoint.head; slot != kNoSlot;) {
    Exchange& e = exchanges_[slot];
    slot = e.wait_next;
    e.tried_count = 0;  // what failed may be another one by now, or well again
    LeaveWait(e);
  }
}

// False when it goes on waiting, perhaps for the other thing; its deadline stays.
template <Io IoType>
bool Worker<IoType>::LeaveWait(Exchange& e) {
  const Choice choice = Choose(e);
  if (choice.endpoint != nullptr) {
    EndWait(e);
    BindChosen(e, *choice.endpoint);
    return true;
  }
  const WaitFor what = choice.full ? WaitFor::kRoom : WaitFor::kEndpoint;
  if (what != e.waits_for) {
    UnlinkWaiting(e);
    LinkWaiting(e, what);
  }
  if (choice.full || Settings(e).hold_timeout_ms > 0) return false;
  GiveUpWait(e);
  return true;
}

}  // namespace ringway::dp
