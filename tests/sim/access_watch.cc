// See access_watch.h.
#include "tests/sim/access_watch.h"

#include <cstring>
#include <string_view>

#include "tests/sim/trace.h"

namespace ringway::sim {
namespace {

constexpr uint32_t kWide = 1u << 20;
constexpr uint32_t kNarrow = 1024;  // not even one long record
constexpr uint32_t kSeldom = 16;  // turns

unsigned long long Show(uint64_t n) { return static_cast<unsigned long long>(n); }

}  // namespace

AccessWatch::AccessWatch(dp::WorkerShared& shared, const dp::WorkerLimits& limits)
    : counters_(shared.counters),
      narrow_(limits.seed % 8 == 0),
      memory_((narrow_ ? kNarrow : kWide) / sizeof(uint64_t)),
      notes_(new dp::AccessNote[limits.sessions_max]),
      port_(reinterpret_cast<char*>(memory_.data()), narrow_ ? kNarrow : kWide, notes_.get()) {
  shared.access.store(&port_);
}

void AccessWatch::Know(const dp::BackendMap& map) {
  for (const auto& listener : map.listeners) {
    if (listener != nullptr && listener->access_log) tcp_[listener->handle] = listener->protocol == dp::Protocol::kTcp;
  }
}

void AccessWatch::Read() {
  if (narrow_ && ++turns_ % kSeldom != 0) return;
  uint32_t size = 0;
  while (const char* data = port_.ring.Front(size)) {
    dp::AccessRecord record;
    std::memcpy(&record, data, sizeof record);
    uint32_t text = 0;
    for (const uint16_t one : record.sizes) text += one;
    if (size != sizeof record + text) Fail("a record of %u bytes says it has %u of text", size, text);
    Judge(record, data + sizeof record);
    Sums& sums = sums_[record.listener];
    ++sums.records;
    ++records_;
    sums.bytes_sent += record.bytes_sent;
    sums.bytes_received += record.bytes_received;
    if (record.status >= 200) ++sums.statuses[record.status / 100];
    if (!tcp_.contains(record.listener)) Fail("a record of a listener that does not log");
    port_.ring.Pop(size);
  }
}

void AccessWatch::Judge(const dp::AccessRecord& record, const char* text) const {
  const char* end = dp::kEndNames[static_cast<size_t>(record.end)];
  const std::string_view line(text, record.sizes[0]);
  if (record.end_us < record.start_us) Fail("a record ends before it begins");
  if (record.client.port < 20000) Fail("a record without client");
  if (record.tcp) {
    if (record.status != 0 || !line.empty()) Fail("a TCP session's record with a request");
    if (record.end == dp::End::kDone && record.attempts == 0) Fail("a TCP session that went nowhere is called done");
    return;
  }
  const bool refused = record.end >= dp::End::kBadRequest && record.end <= dp::End::kNotImplemented;
  if (line.empty() && record.end != dp::End::kHeadTimeout) Fail("a record without request line, %s", end);
  if (!refused && !line.ends_with(" HTTP/1.1") && !line.ends_with(" HTTP/1.0")) Fail("a record with half a request line");
  if (record.status == 0 && record.end == dp::End::kDone) Fail("a request without answer is called done");
  if (record.status == 503 && record.end == dp::End::kDone && record.attempts == 0) Fail("our own 503 is called done");
  if (record.head_bytes_sent > record.bytes_sent && record.end == dp::End::kDone) Fail("more head than bytes were sent");
  if (record.attempts == 0 && record.endpoint != dp::kNoHandle) Fail("an endpoint without attempt");
}

// What the counters know of exchanges that were opened. 501 is a matter of CONNECT here, which counts as a request.
uint64_t AccessWatch::ExchangesOf(const dp::ListenerCounters& c, bool tcp) {
  if (tcp) return c.sessions_total.Get();
  uint64_t sum = c.requests_total.Get();
  for (const dp::Counter& bad : c.bad_requests_total) sum += bad.Get();
  for (const dp::Refusal refusal : {dp::Refusal::kHeadTimeout, dp::Refusal::kTargetTooLong, dp::Refusal::kHeadTooLarge, dp::Refusal::kVersion}) {
    sum += c.refused_total[static_cast<size_t>(refusal)].Get();
  }
  return sum;
}

void AccessWatch::CheckEnd(bool listener_left) {
  turns_ = kSeldom - 1;
  Read();
  const uint64_t dropped = counters_.worker.access_dropped_total.Get();
  if (dropped != 0 && !narrow_) Fail("records were dropped though there was room");
  uint64_t records = 0, exchanges = 0;
  for (const auto& [handle, tcp] : tcp_) {
    const dp::ListenerCounters& c = counters_.listeners[handle];
    const Sums& sums = sums_[handle];
    records += sums.records;
    exchanges += ExchangesOf(c, tcp);
    if (sums.bytes_received > c.bytes_received_total.Get()) Fail("records count more bytes than came");
    if (sums.bytes_sent > c.bytes_sent_total.Get()) Fail("records count more bytes than went");
    if (listener_left || dropped != 0) continue;
    if (sums.bytes_sent != c.bytes_sent_total.Get()) {
      Fail("records count %llu bytes to clients, there were %llu", Show(sums.bytes_sent), Show(c.bytes_sent_total.Get()));
    }
    for (size_t kind = 2; kind < 6; ++kind) {
      if (sums.statuses[kind] != c.responses_total[kind].Get()) Fail("records and responses differ in %zuxx", kind);
    }
  }
  if (records + dropped > exchanges) Fail("%llu records of %llu exchanges", Show(records + dropped), Show(exchanges));
  if (!listener_left && records + dropped != exchanges) {
    Fail("%llu records and %llu dropped of %llu exchanges", Show(records), Show(dropped), Show(exchanges));
  }
}

}  // namespace ringway::sim
