// Worker: maps and listeners, new sessions, the graceful stop.
#pragma once

#include <cstring>
#include <string>

#include "dataplane/core/worker.h"

namespace ringway::dp {

template <Io IoType>
void Worker<IoType>::TakeMap() {
  const BackendMap* map = shared_.next_map.exchange(nullptr, std::memory_order_acq_rel);
  if (map == nullptr) return;
  access_ = shared_.access.load(std::memory_order_acquire);
  const auto left = [this](EndpointHandle handle) {
    CloseIdle(handle);
    counters_.endpoints[handle].ejected_until_us.Set(0);
  };
  const auto changed = [this](ServiceHandle handle) {
    if (waits_[handle].room.count + waits_[handle].endpoint.count == 0) return;
    waits_[handle].changed = true;
    Wake(handle);
  };
  balancer_.Adopt(*map, io_.NowUs(), left, changed);
  for (ListenerHandle handle = 0; handle < kListenersMax; ++handle) {
    AdoptListener(handle, handle < map->listeners.size() ? map->listeners[handle].get() : nullptr);
  }
  // From here on nothing of an older map is referred to: feed/ may free it.
  shared_.map_version.store(map->version, std::memory_order_release);
}

template <Io IoType>
void Worker<IoType>::AdoptListener(ListenerHandle handle, const ListenerEntry* entry) {
  ListenerState& listener = listeners_[handle];
  const int fd = entry != nullptr ? entry->sockets[index_] : -1;
  if (fd != listener.fd) {
    StopListening(handle);
    listener.fd = fd;
    listener.open = fd >= 0;
    listener.resume_us = 0;
    accept_idle_ = accept_idle_ || listener.open;
    if (stopping_ || leaving_) StopListening(handle);
  }
  listener.entry = entry;
  if (entry != nullptr) WriteForwardedRest(listener);
}

template <Io IoType>
void Worker<IoType>::WriteForwardedRest(ListenerState& listener) {
  const std::string text = "\r\nX-Forwarded-Port: " + std::to_string(listener.entry->address.port) + "\r\nX-Forwarded-Proto: http\r\n";
  static_assert(sizeof "\r\nX-Forwarded-Port: 65535\r\nX-Forwarded-Proto: http\r\n" <= kForwardedRestMax);
  std::memcpy(listener.forwarded.data(), text.data(), text.size());
  listener.forwarded_size = static_cast<uint32_t>(text.size());
}

// The accept in flight completes under an old generation and is then ignored.
template <Io IoType>
void Worker<IoType>::StopListening(ListenerHandle handle) {
  ListenerState& listener = listeners_[handle];
  LeaveListening(handle);
  listener.accepting = false;
  listener.generation = (listener.generation + 1) & 0xffffffu;
}

// Gives up our copy of the listening socket; what the accept in flight has taken still comes, and is served.
template <Io IoType>
void Worker<IoType>::LeaveListening(ListenerHandle handle) {
  ListenerState& listener = listeners_[handle];
  if (!listener.open) return;
  if (listener.accepting) io_.Cancel({Op::kAccept, handle, listener.generation});
  io_.Close(listener.fd);
  listener.open = false;
}

template <Io IoType>
void Worker<IoType>::ArmAccept(ListenerHandle handle) {
  ListenerState& listener = listeners_[handle];
  listener.accepting = true;
  ++accepts_;
  io_.Accept(listener.fd, {Op::kAccept, handle, listener.generation});
}

// Connections then wait in the kernel's backlog.
template <Io IoType>
void Worker<IoType>::PauseAccepting(Limit limit) {
  CountLimit(limit);
  accept_idle_ = true;
  for (ListenerHandle handle = 0; handle < kListenersMax; ++handle) {
    if (listeners_[handle].accepting) io_.Cancel({Op::kAccept, handle, listeners_[handle].generation});
  }
}

template <Io IoType>
void Worker<IoType>::ResumeAccepting() {
  OpenHeld();
  if (stopping_ || sessions_.in_use() == sessions_.capacity()) return;
  accept_idle_ = false;
  for (ListenerHandle handle = 0; handle < kListenersMax; ++handle) {
    ListenerState& listener = listeners_[handle];
    if (!listener.open || listener.accepting) continue;
    if (listener.resume_us <= io_.NowUs()) ArmAccept(handle);
    else accept_idle_ = true;
  }
}

template <Io IoType>
void Worker<IoType>::OnAccepted(const Completion& c) {
  const ListenerHandle handle = c.tag.slot;
  ListenerState& listener = listeners_[handle];
  const bool current = listener.generation == c.tag.generation && (listener.open || leaving_);
  if (!c.more) --accepts_;
  if (current && !c.more) {
    listener.accepting = false;
    accept_idle_ = true;
  }
  if (c.result >= 0) {
    if (current) return OpenSession(handle, c.result);
    return io_.Close(c.result);
  }
  if (!current) return;
  const Verdict verdict = Judge(c.result);
  if (verdict == Verdict::kCanceled || verdict == Verdict::kAgain) return;
  if (verdict == Verdict::kLimit) CountLimit(Limit::kFiles);
  else counters_.worker.accept_errors_total.Add();
  // A connection reset while it waited costs nothing; anything else may persist: never spin on it.
  if (verdict != Verdict::kGone) listener.resume_us = io_.NowUs() + kAcceptPauseUs;
}

template <Io IoType>
void Worker<IoType>::OpenSession(ListenerHandle handle, int fd) {
  IpAddress peer;
  if (sessions_.in_use() == sessions_.capacity()) return HoldAccepted(handle, fd);
  const uint32_t slot = io_.PeerOf(fd, peer) ? sessions_.Allocate() : kNoSlot;
  if (slot == kNoSlot) return io_.Close(fd);
  Session& s = sessions_[slot];
  const ListenerEntry& listener = *listeners_[handle].entry;
  s.fd = fd;
  s.listener = static_cast<uint16_t>(handle);
  s.tcp = listener.protocol == Protocol::kTcp;
  s.peer = peer;
  for (const IpBlock& block : listener.trusted_proxies) s.trusted = s.trusted || BlockContains(block, peer);
  wheel_.Init(TimerOf(s));
  CountersOf(s).sessions_open.Add();
  CountersOf(s).sessions_total.Add();
  ++sessions_taken_;
  TellSessions();
  if (sessions_.in_use() == sessions_.capacity()) PauseAccepting(Limit::kSessions);
  if (FilesShort()) EvictIdle();
  if (s.tcp) return OpenStream(s);
  SetDeadline(s, listener.head_timeout_ms);
  ArmClientRecv(s);
}

// Accepted before the pause took hold: it waits here as it would have in the backlog.
template <Io IoType>
void Worker<IoType>::HoldAccepted(ListenerHandle handle, int fd) {
  if (held_count_ == kHeldMax) {
    CountLimit(Limit::kSessions);
    return io_.Close(fd);
  }
  held_[(held_first_ + held_count_++) % kHeldMax] = {handle, listeners_[handle].generation, fd};
  accept_idle_ = true;
}

template <Io IoType>
void Worker<IoType>::OpenHeld() {
  while (held_count_ > 0 && (stopping_ || sessions_.in_use() < sessions_.capacity())) {
    const HeldSocket held = held_[held_first_];
    held_first_ = (held_first_ + 1) % kHeldMax;
    --held_count_;
    if (stopping_ || listeners_[held.listener].generation != held.generation) io_.Close(held.fd);
    else OpenSession(held.listener, held.fd);
  }
}

// Idle sessions stay: each is told with its next response.
template <Io IoType>
void Worker<IoType>::BeginLeave() {
  leaving_ = true;
  for (ListenerHandle handle = 0; handle < kListenersMax; ++handle) LeaveListening(handle);
}

template <Io IoType>
void Worker<IoType>::BeginStop() {
  stopping_ = true;
  OpenHeld();
  stop_deadline_us_ = io_.NowUs() + uint64_t{shared_.stop_timeout_ms.load()} * 1000;
  for (ListenerHandle handle = 0; handle < kListenersMax; ++handle) StopListening(handle);
  EndAllWaits();
  for (uint32_t slot = 0; slot < sessions_.high_water(); ++slot) {
    Session& s = sessions_[slot];
    if (s.fd >= 0 && s.state == SessionState::kIdle) EndSession(s);
  }
  for (uint32_t slot = 0; slot < upstreams_.high_water(); ++slot) {
    Upstream& u = upstreams_[slot];
    if (u.fd >= 0 && u.state == UpstreamState::kIdle) CloseUpstream(u);
  }
}

// True when nothing is left. At the deadline what is left is cut.
template <Io IoType>
bool Worker<IoType>::FinishStop() {
  if (sessions_.in_use() == 0 && upstreams_.in_use() == 0 && accepts_ == 0) {
    shared_.stopped.store(true, std::memory_order_release);
    return true;
  }
  if (io_.NowUs() >= stop_deadline_us_) {
    for (uint32_t slot = 0; slot < sessions_.high_water(); ++slot) {
      Session& s = sessions_[slot];
      if (s.fd < 0) continue;
      if (s.exchange != kNoSlot) EndAs(exchanges_[s.exchange], End::kStopped);
      CloseSession(s);
    }
  }
  return false;
}

}  // namespace ringway::dp
