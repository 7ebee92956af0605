// The session state machine: one worker = one thread = one ring. This file is its table of contents: the loop, the one
// dispatch, and every handler's name. The handlers stand in the order of a request's life in
//   worker_accept.h    listeners, new sessions, maps, stop
//   worker_receive.h   receives: armed for good, what they bring, what is kept
//   worker_request.h   from the first byte of a request to the choice of an endpoint
//   worker_wait.h      requests that wait for room or for an endpoint
//   worker_upstream.h  pool, connect, sending the request, failure and retry
//   worker_response.h  from the response's first byte to the end of the exchange, our own replies
//   worker_stream.h    TCP and upgraded sessions
//   worker_bulk.h      long bodies and streams: moved when ready, in turns
//   worker_close.h     receives that wait for a buffer, deadlines, closing
//   worker_log.h       the access log's records
// docs/LIFE_OF_A_REQUEST.md walks through them. No allocation after construction except in AdoptMap; no lock; no log. What every
// request runs through and one hot caller calls is inlined by name: entering and leaving cost more than it does (docs/adr/0012).
//
// Five rules: a Tag is slot + generation; every submission goes through an Arm/Submit function that sets the socket's flag;
// a slot is freed only when its socket is quiet; one send in flight per socket; a receive without buffer is parked.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "dataplane/core/balance.h"
#include "dataplane/core/io.h"
#include "dataplane/core/judge.h"
#include "dataplane/core/retry_budget.h"
#include "dataplane/core/session.h"
#include "dataplane/core/slab.h"
#include "dataplane/core/timer_wheel.h"
#include "dataplane/core/worker_shared.h"

namespace ringway::dp {

struct WorkerLimits {
  uint32_t sessions_max = 4096;   // at the limit the listeners stop accepting
  uint32_t upstreams_max = 4096;  // near the limit idle ones are closed; at it the request is answered 503
  uint32_t files_max = ~0u;       // sessions and upstreams together: near it, too, idle upstreams are closed
  uint64_t seed = 1;              // of random-of-two and of the start of round robins
  uint32_t retry_burst = 256;     // retries of a service that may come at once: an endpoint that dies is got over whole
  bool splice = true;             // bulk goes through pipes where it may
};

template <Io IoType>
class Worker {
 public:
  // `index` picks this worker's listening sockets out of the map. Both references outlive the worker.
  Worker(IoType& io, WorkerShared& shared, uint32_t index, const WorkerLimits& limits);

  // Turns until a stop is complete.
  void Run() {
    while (Step()) {
    }
  }
  // One turn; false when stopped.
  bool Step();

  // For tests: nothing is left behind when all are zero.
  uint32_t sessions() const { return sessions_.in_use(); }
  uint32_t exchanges() const { return exchanges_.in_use(); }
  uint32_t upstreams() const { return upstreams_.in_use(); }
  uint32_t timers() const { return wheel_.linked(); }

 private:
  static constexpr uint32_t kForwardedRestMax = 64;
  static constexpr uint32_t kForwardedMax = 192;  // all inserted lines
  enum class Failure : uint8_t { kConnect, kLocal, kEarly, kBadResponse, kTimeout };
  struct ListenerState {
    const ListenerEntry* entry = nullptr;
    int fd = -1;
    bool open = false;  // not when stopping: `fd` then only tells it from another one
    bool accepting = false;
    uint32_t generation = 0;
    uint64_t resume_us = 0;
    // What follows the client's address in the lines inserted into a request: see WriteForwarded.
    uint32_t forwarded_size = 0;
    std::array<char, kForwardedRestMax> forwarded;
  };

  struct HeldSocket {
    ListenerHandle listener;
    uint32_t generation;  // the listener's
    int fd;
  };

  // Exchanges that wait, oldest first.
  struct WaitList {
    uint32_t head = kNoSlot;
    uint32_t tail = kNoSlot;
    uint32_t count = 0;
  };
  struct ServiceWaits {
    WaitList room;
    WaitList endpoint;
    bool changed = false;  // by a new map
  };

  void Dispatch(const Completion& c);

  // worker_accept.h
  void TakeMap();
  void AdoptListener(ListenerHandle handle, const ListenerEntry* entry);
  void WriteForwardedRest(ListenerState& listener);
  void StopListening(ListenerHandle handle);
  void LeaveListening(ListenerHandle handle);
  void ArmAccept(ListenerHandle handle);
  void PauseAccepting(Limit limit);
  void ResumeAccepting();
  void OnAccepted(const Completion& c);
  void OpenSession(ListenerHandle handle, int fd);
  void HoldAccepted(ListenerHandle handle, int fd);
  void OpenHeld();
  void BeginLeave();
  bool LeftAlone() const { return sessions_.in_use() == 0 && accepts_ == 0 && held_count_ == 0; }
  void BeginStop();
  bool FinishStop();

  // worker_receive.h
  void ArmClientRecv(Session& s);
  void ArmUpstreamRecv(Upstream& u);
  template <class Connection>
  void Arm(Connection& socket, const Flow* bulk);
  void Receive(Socket& socket, Tag tag);
  void Disarm(Socket& socket, Tag tag);
  void OnClientReceived(uint32_t slot, const Completion& c);
  void OnUpstreamReceived(uint32_t slot, const Completion& c);
  bool IsPlain(const Socket& socket, const Completion& c) const;
  bool Admit(Socket& socket, const Completion& c);
  void Keep(Inbox& inbox, uint16_t buffer, uint32_t size);
  bool BuffersLow() const { return io_.BuffersFree(Group::kSmall) < buffers_small_ / 4; }
  void KeepRest(Socket& socket, BufferRef got, uint32_t begin, uint32_t end);
  void DropKept(Socket& socket);
  void HandOn();

  // worker_request.h
  void OnFromClient(Session& s, BufferRef got, int32_t result);
  void OnClientNothing(Session& s, int32_t result);
  void OnClientBytes(Session& s, BufferRef got, uint32_t size);
  void OnClientEnded(Session& s);
  void OnClientGone(Session& s);
  void NextRequest(Session& s);
  void ParseRequest(Session& s);
  void RefuseRequest(Session& s, uint16_t status, Refusal refusal);
  Exchange* OpenExchange(Session& s);
  Exchange& AttachExchange(Session& s, uint32_t slot);
  void BeginExchange(Session& s, Exchange& e, const ListenerEntry& listener, char* data);
  bool FrameRequest(Exchange& e, const char* body, uint32_t available);
  void OnRequestBody(Exchange& e, BufferRef got, uint32_t size);

  // worker_wait.h
  WaitList& ListOf(ServiceHandle service, WaitFor what) {
    return what == WaitFor::kRoom ? waits_[service].room : waits_[service].endpoint;
  }
  void LinkWaiting(Exchange& e, WaitFor what);
  void UnlinkWaiting(Exchange& e);
  bool MayWait(const Exchange& e, WaitFor what);
  void BeginWait(Exchange& e, WaitFor what);
  void EndWait(Exchange& e);
  void GiveUpWait(Exchange& e);
  void EndAllWaits();
  void Wake(ServiceHandle service);
  void NoteRoom(EndpointHandle endpoint);
  void RecheckWaiting();
  void WakeWaiting();
  void WakeService(ServiceHandle service);
  bool LeaveWait(Exchange& e);

  // worker_upstream.h
  void ChooseEndpoint(Exchange& e);
  Choice Choose(const Exchange& e) {
    const Choice choice = balancer_.Choose(e.service, e.tried.data(), e.tried_count, io_.NowUs());
    return choice.endpoint == nullptr && e.pooled_died && e.tried_count > 0 ? ChooseAgain(e, choice.full) : choice;
  }
  Choice ChooseAgain(const Exchange& e, bool full);
  void BindChosen(Exchange& e, const EndpointEntry& endpoint);
  void CountRetry(Exchange& e, EndpointHandle to);
  bool PayRetry(Exchange& e);
  bool BindPooled(Exchange& e, const EndpointEntry& endpoint);
  bool BindNew(Exchange& e, const EndpointEntry& endpoint, const ServiceEntry& service);
  EndpointCounters& Bind(Exchange& e, Upstream& u, EndpointHandle endpoint);
  void Unbind(Exchange& e);
  void OnConnected(uint32_t slot, const Completion& c);
  void SendRequest(Exchange& e);
  void WriteForwarded(Exchange& e, char* data, bool alone);
  void SubmitUpstreamSend(Exchange& e);
  void OnUpstreamSent(uint32_t slot, const Completion& c);
  void OnUpstreamSendFailed(Exchange& e, Verdict verdict);
  void OnRequestSent(Exchange& e);
  void FailExchange(Exchange& e, Failure failure);
  void CountFailure(Exchange& e, Failure failure);
  void NoteFailure(Exchange& e, EjectionReason reason);
  void NoteAnswer(Exchange& e, uint16_t status);
  void NoteLatency(Exchange& e, uint64_t us, bool failed);
  void GiveUp(Exchange& e, Next next);
  bool MayRetry(const Exchange& e) const;
  void ReleaseRequest(Exchange& e);
  void PoolUpstream(Upstream& u);
  void SamplePath(Upstream& u);
  void UnlinkIdle(Upstream& u);
  void CloseIdle(EndpointHandle endpoint);
  void EvictIdle();
  bool FilesShort() const { return sessions_.in_use() + upstreams_.in_use() >= files_enough_; }

  // worker_response.h
  void OnFromUpstream(Upstream& u, BufferRef got, int32_t result);
  void OnUpstreamNothing(Upstream& u, Exchange& e, int32_t result);
  void OnUpstreamBytes(Exchange& e, BufferRef got, uint32_t size);
  void OnUpstreamEnded(Exchange& e, bool reset);
  void ParseResponse(Exchange& e);
  void OnInterim(Exchange& e, ResponseHead& head);
  void StartResponse(Exchange& e, ResponseHead& head, char* data);
  bool FrameResponse(Exchange& e, const ResponseHead& head, char* data, uint32_t available, uint32_t& body);
  void OnResponseBody(Exchange& e, BufferRef got, uint32_t size);
  void ReleaseUpstream(Exchange& e);
  static bool EndsSession(const Exchange& e);
  void SubmitClientSend(Exchange& e);
  void OnClientSent(uint32_t slot, const Completion& c);
  void OnResponseSent(Exchange& e);
  void CutResponse(Exchange& e);
  void SendReply(Exchange& e);
  void CountResponse(Exchange& e, uint16_t status);
  void Finish(Exchange& e);
  void Settle(Exchange& e);

  // worker_stream.h
  void OpenStream(Session& s);
  void BeginTunnel(Exchange& e);
  void OnStreamBytes(Exchange& e, bool from_client, BufferRef got, uint32_t begin, uint32_t end);
  void OnStreamSent(Exchange& e, bool to_client);
  void OnStreamEnded(Exchange& e, bool from_client);

  // worker_bulk.h
  bool IsBulk(const Flow& flow) const;
  void AwaitBulk(Socket& from, const Flow& flow, uint32_t key, Tag tag);
  void Queue(Socket& socket, uint32_t key);
  void RunBulk();
  uint32_t MoveFromClient(Session& s);
  uint32_t MoveFromUpstream(Upstream& u);
  static bool TakesSmall(int32_t result, bool polled);
  int32_t ReceiveBulk(Flow& flow, int fd, BufferRef& got);
  int32_t ReceivePiped(Flow& flow, int fd, uint32_t size);
  void NotePiped(Flow& flow);
  struct Pushed {
    int32_t error = 0;  // negative errno; 0 when all has gone
    uint64_t copied = 0;
    uint64_t spliced = 0;
  };
  static constexpr int32_t kNothingTaken = -EIO;
  Pushed PushNow(Flow& flow, int fd);
  void PushRequest(Exchange& e);
  void PushResponse(Exchange& e);
  void ReleasePipe(Flow& flow);
  void ReleaseFlow(Flow& flow);

  // worker_close.h
  void ParkClient(Session& s);
  void ParkUpstream(Upstream& u);
  void Unpark();
  void OnDeadline(uint32_t timer);
  void OnSessionDeadline(Session& s);
  void OnExchangeDeadline(Session& s, Exchange& e);
  void EndSession(Session& s);
  void CloseSession(Session& s);
  void TryFreeSession(Session& s);
  void MarkCut(Session& s, const Exchange& e);
  void CloseUpstream(Upstream& u);
  void TryFreeUpstream(Upstream& u);
  void FreeExchange(Exchange& e);
  void ReturnBuffer(BufferRef& buffer);

  // worker_log.h
  bool Logs(const ListenerEntry* listener) const { return access_ != nullptr && listener != nullptr && listener->access_log; }
  void NoteExchange(Exchange& e, const char* data);
  void NoteUnparsed(Exchange& e, std::string_view received);
  void NoteResponseHead(Exchange& e, uint32_t body);
  void LogExchange(const Exchange& e);
  static uint32_t Span32(uint64_t us) { return static_cast<uint32_t>(us < kNever ? us : kNever - 1); }
  // How the exchange ends, for the log: the first word counts.
  static void EndAs(Exchange& e, End end) {
    if (e.end == End::kDone) e.end = end;
  }

  // Small common things.
  // What is answered now says that the connection ends.
  bool Closing() const { return stopping_ || leaving_; }
  uint32_t SlotOf(const Session& s) const { return static_cast<uint32_t>(&s - &sessions_[0]); }
  uint32_t SlotOf(const Upstream& u) const { return static_cast<uint32_t>(&u - &upstreams_[0]); }
  uint32_t SlotOf(const Exchange& e) const { return static_cast<uint32_t>(&e - &exchanges_[0]); }
  Session& SessionOf(const Exchange& e) { return sessions_[e.session]; }
  const Session& SessionOf(const Exchange& e) const { return sessions_[e.session]; }
  // Of what a socket receives.
  Tag TagOf(const Session& s) const { return {Op::kClientRecv, SlotOf(s), s.generation}; }
  Tag TagOf(const Upstream& u) const { return {Op::kUpstreamRecv, SlotOf(u), u.generation}; }
  uint32_t TimerOf(const Session& s) const { return SlotOf(s); }
  uint32_t TimerOf(const Upstream& u) const { return sessions_.capacity() + SlotOf(u); }
  void SetDeadline(const Session& s, uint32_t ms) { wheel_.Set(TimerOf(s), io_.NowUs() + uint64_t{ms} * 1000); }
  // Its session's.
  void SetDeadline(const Exchange& e, uint32_t ms) { wheel_.Set(e.session, io_.NowUs() + uint64_t{ms} * 1000); }
  const ListenerEntry* Listener(const Session& s) const { return listeners_[s.listener].entry; }
  ListenerCounters& CountersOf(const Session& s) { return counters_.listeners[s.listener]; }
  EndpointCounters& EndpointOf(const Exchange& e) { return counters_.endpoints[e.endpoint]; }
  ServiceCounters& ServiceOf(const Exchange& e) { return counters_.services[e.service]; }
  // The service's settings; defaults when the current map does not have it any more.
  const ServiceEntry& Settings(const Exchange& e) const {
    const ServiceEntry* entry = e.service == kNoHandle ? nullptr : balancer_.Service(e.service);
    return entry != nullptr ? *entry : defaults_;
  }
  void NoteBulk(Flow& flow, uint32_t size) const { flow.bulk = size >= io_.BufferSize(Group::kSmall); }
  static void Advance(Flow& flow, size_t sent);
  void TellSessions() {
    shared_.sessions.load(std::memory_order_acquire)->store(uint64_t{sessions_taken_} << 32 | sessions_.in_use(), std::memory_order_relaxed);
  }
  void CountLimit(Limit limit) { counters_.worker.limits_total[static_cast<size_t>(limit)].Add(); }
  void CountTimeout(Timeout timeout) { counters_.worker.timeouts_total[static_cast<size_t>(timeout)].Add(); }
  void PublishGauges();

  static constexpr uint32_t kLingerMs = 2000;
  static constexpr uint32_t kLingerBytesMax = 256 << 10;
  static constexpr uint32_t kReplyTimeoutMs = 10000;
  static constexpr uint32_t kSurplusIdleMs = 250;  // an idle upstream beyond the service's number of them
  static constexpr uint32_t kAcceptPauseUs = 100000;   // after an accept error
  static constexpr uint64_t kSampleEveryUs = 100000;  // an endpoint's path; asking costs 0.6 us
  static constexpr uint64_t kSampleStaleUs = 3000000;
  static constexpr uint32_t kRefusedAtOnceUs = 250000;  // a later one has cost its client time (no route: seconds)
  static constexpr uint32_t kBuffersReserve = 64;      // fewer free ones: requests are not kept for a retry
  static constexpr uint32_t kBuffersReserveWaiting = 128;  // fewer free ones: no further request waits
  static constexpr uint32_t kRecheckMs = 200;          // while requests wait for room
  static constexpr uint32_t kEvictLooks = 256;         // slots looked at for an idle upstream to close
  static constexpr uint32_t kWaitMsMax = 1000;
  static constexpr uint32_t kResponseHeadMax = 16384;
  static constexpr uint32_t kKeptMax = 2;     // buffers of a socket that nobody has asked for: its receive is ended
  static constexpr uint32_t kMoveBytesMax = 256 << 10;  // of one session before the next one's turn
  static constexpr uint32_t kMoveBytesMin = 4 << 10;    // what a move costs at least, in bytes
  static constexpr uint32_t kTurnBytesMax = 512 << 10;  // bulk moved before completions are looked at again

  IoType& io_;
  WorkerShared& shared_;
  CounterTable& counters_;
  AccessPort* access_ = nullptr;  // null until a listener logs
  const uint32_t index_;
  const uint32_t retry_burst_;
  const uint32_t files_enough_;  // so many are in use: others are to be closed for further ones
  bool splice_;  // until the kernel refuses
  const ServiceEntry defaults_;
  const uint32_t buffers_small_;
  const uint32_t buffers_large_;

  Slab<Session> sessions_;
  uint32_t sessions_taken_ = 0;
  Slab<Exchange> exchanges_;
  Slab<Upstream> upstreams_;
  TimerWheel wheel_;
  Balancer balancer_;
  std::array<ListenerState, kListenersMax> listeners_;

  SocketList parked_;  // receives that wait for a small buffer
  SocketList queued_;  // bulk that waits for its turn
  SocketList due_;     // what was kept and is wanted now
  // Of each small buffer that an inbox holds: the next one, and the bytes in it.
  struct Kept {
    uint16_t next;
    uint32_t size;
  };
  std::vector<Kept> kept_;
  static constexpr uint32_t kUpstreamKey = 1u << 31;
  uint32_t KeyOf(const Session& s) const { return SlotOf(s); }
  uint32_t KeyOf(const Upstream& u) const { return SlotOf(u) | kUpstreamKey; }
  Socket& SocketOf(uint32_t key);
  void Append(SocketList& list, uint32_t key);
  uint32_t TakeFirst(SocketList& list);
  bool FreeIfClosing(uint32_t key);

  std::array<ServiceWaits, kServicesMax> waits_;
  std::array<RetryBudget, kServicesMax> budgets_;
  std::array<uint64_t, kServicesMax / 64> wake_{};  // services whose waiting exchanges are to be looked at
  bool wake_any_ = false;
  uint32_t waiting_room_ = 0;  // exchanges, of all services
  uint64_t recheck_us_ = 0;

  uint64_t completions_ = 0;

  uint32_t accepts_ = 0;      // in flight, those of listeners that are gone included
  // Sockets accepted while all session slots were taken, oldest first.
  static constexpr uint32_t kHeldMax = 1024;
  std::array<HeldSocket, kHeldMax> held_;
  uint32_t held_first_ = 0;
  uint32_t held_count_ = 0;

  bool accept_idle_ = false;  // a listener is not accepting and should again
  bool leaving_ = false;
  bool stopping_ = false;
  uint64_t stop_deadline_us_ = 0;
  uint32_t idle_ = 0;  // pooled upstreams, of all endpoints
  uint32_t evict_from_ = 0;
};

template <Io IoType>
Worker<IoType>::Worker(IoType& io, WorkerShared& shared, uint32_t index, const WorkerLimits& limits)
    : io_(io),
      shared_(shared),
      counters_(shared.counters),
      index_(index),
      retry_burst_(limits.retry_burst),
      files_enough_(limits.files_max - limits.files_max / 8),
      splice_(limits.splice),
      buffers_small_(io.BuffersFree(Group::kSmall)),
      buffers_large_(io.BuffersFree(Group::kLarge)),
      sessions_(limits.sessions_max),
      exchanges_(limits.sessions_max),
      upstreams_(limits.upstreams_max),
      wheel_(limits.sessions_max + limits.upstreams_max),
      balancer_(limits.seed),
      kept_(buffers_small_) {}

template <Io IoType>
bool Worker<IoType>::Step() {
  const uint32_t wait = !queued_.empty() || !due_.empty() ? 0 : accept_idle_ || stopping_ ? 20 : waiting_room_ != 0 ? kRecheckMs : kWaitMsMax;
  io_.Turn(wheel_.WaitMs(io_.NowUs(), wait), [this](const Completion& c) { Dispatch(c); });
  if (!due_.empty()) HandOn();
  if (!queued_.empty()) RunBulk();
  if (shared_.next_map.load(std::memory_order_relaxed) != nullptr) TakeMap();
  wheel_.Advance(io_.NowUs(), [this](uint32_t timer) { OnDeadline(timer); });
  if (!parked_.empty()) Unpark();
  if (accept_idle_) ResumeAccepting();
  if (!leaving_ && shared_.leave.load(std::memory_order_acquire)) BeginLeave();
  if (!stopping_ && ((leaving_ && LeftAlone()) || shared_.stop.load(std::memory_order_acquire))) BeginStop();
  if (waiting_room_ != 0) RecheckWaiting();
  if (wake_any_) WakeWaiting();
  PublishGauges();
  return !(stopping_ && FinishStop());
}

// What need not be counted at each change: once a turn.
template <Io IoType>
void Worker<IoType>::PublishGauges() {
  WorkerCounters& counters = counters_.worker;
  counters.turns_total.Add();
  counters.completions_total.Set(completions_);
  counters.sessions_open.Set(sessions_.in_use());
  counters.exchanges_open.Set(exchanges_.in_use());
  counters.upstreams_open.Set(upstreams_.in_use());
  counters.buffers_small_used.Set(buffers_small_ - io_.BuffersFree(Group::kSmall));
  counters.buffers_large_used.Set(buffers_large_ - io_.BuffersFree(Group::kLarge));
}

template <Io IoType>
void Worker<IoType>::Dispatch(const Completion& c) {
  ++completions_;
  switch (c.tag.op) {
    case Op::kAccept:
      return OnAccepted(c);
    case Op::kClientRecv:
      return OnClientReceived(c.tag.slot, c);
    case Op::kClientSend:
      return OnClientSent(c.tag.slot, c);
    case Op::kConnect:
      return OnConnected(c.tag.slot, c);
    case Op::kUpstreamRecv:
      return OnUpstreamReceived(c.tag.slot, c);
    case Op::kUpstreamSend:
      return OnUpstreamSent(c.tag.slot, c);
    case Op::kNone:
      return;
  }
}

template <Io IoType>
void Worker<IoType>::Advance(Flow& flow, size_t sent) {
  while (sent > 0 && flow.slice_at < flow.slice_count) {
    Slice& slice = flow.slices[flow.slice_at];
    if (sent < slice.size) {
      slice.data += sent;
      slice.size -= sent;
      return;
    }
    sent -= slice.size;
    ++flow.slice_at;
  }
}

}  // namespace ringway::dp

#include "dataplane/core/worker_accept.h"
#include "dataplane/core/worker_bulk.h"
#include "dataplane/core/worker_close.h"
#include "dataplane/core/worker_log.h"
#include "dataplane/core/worker_receive.h"
#include "dataplane/core/worker_request.h"
#include "dataplane/core/worker_response.h"
#include "dataplane/core/worker_stream.h"
#include "dataplane/core/worker_upstream.h"
#include "dataplane/core/worker_wait.h"
