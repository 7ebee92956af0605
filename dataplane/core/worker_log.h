// Worker: the access log. Each exchange of a listener that logs leaves one record, where its slot is freed; nobody waits for it
// to be written. What of the request will be needed is noted when it begins: its buffer does not stay.
#pragma once

#include <cstring>

#include "dataplane/core/access_note.h"
#include "dataplane/core/worker.h"

namespace ringway::dp {

// The request has been parsed at `data`.
template <Io IoType>
void Worker<IoType>::NoteExchange(Exchange& e, const char* data) {
  e.logged = true;
  NoteRequest(data, e.head, access_->notes[SlotOf(e)]);
}

// What came could not be understood, or not in time; a stream has nothing to be noted.
template <Io IoType>
void Worker<IoType>::NoteUnparsed(Exchange& e, std::string_view received) {
  if (!Logs(Listener(SessionOf(e)))) return;
  e.logged = true;
  NoteRefused(received, access_->notes[SlotOf(e)]);
  e.bytes_received = received.size();
}

// The part of a response's first slices that is not body.
template <Io IoType>
void Worker<IoType>::NoteResponseHead(Exchange& e, uint32_t body) {
  size_t size = 0;
  for (size_t i = 0; i < e.response.slice_count; ++i) size += e.response.slices[i].size;
  e.head_bytes_sent = static_cast<uint32_t>(e.bytes_sent + size - body);
}

template <Io IoType>
void Worker<IoType>::LogExchange(const Exchange& e) {
  const Session& s = SessionOf(e);
  const AccessNote& note = access_->notes[SlotOf(e)];
  const uint32_t size = static_cast<uint32_t>(sizeof(AccessRecord)) + note.size;
  char* const place = access_->ring.Reserve(size);
  if (place == nullptr) return counters_.worker.access_dropped_total.Add();
  AccessRecord record;
  record.start_us = e.start_us;
  record.end_us = io_.NowUs();
  record.queue_us = e.attempts == 0 ? kNever : Span32(e.attempt_us - e.start_us);
  record.connect_us = e.attempts == 0 ? kNever : e.connect_us;
  record.response_us = e.response_seen ? e.response_us : kNever;
  record.head_bytes_sent = e.head_bytes_sent;
  record.bytes_received = e.bytes_received;
  record.bytes_sent = e.bytes_sent;
  record.service = e.service;
  record.endpoint = e.served_by;
  record.client = s.peer;
  record.listener = s.listener;
  record.status = e.status;
  record.end = e.end;
  record.attempts = e.attempts;
  record.tcp = s.tcp;
  record.reused = e.reused;
  record.truncated = note.truncated;
  record.sizes = note.sizes;
  std::memcpy(place, &record, sizeof record);
  std::memcpy(place + sizeof record, note.text, note.size);
  access_->ring.Commit(size);
}

}  // namespace ringway::dp
