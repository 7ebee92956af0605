// See dataplane_link.h.
#include "controlplane/push/dataplane_link.h"

#include <algorithm>
#include <utility>

namespace ringway::cp {

void DataplaneLink::Queue(const SharedFrame& frame) {
  if (whole_wanted || closed) return;  // the snapshot to come contains it
  if (queue.size() >= kQueueMax || queue_bytes + frame->size() > kQueueBytesMax) {
    ++collapses_total;
    return QueueWhole();
  }
  queue.push_back(frame);
  queue_bytes += frame->size();
  wake.cancel();
}

void DataplaneLink::QueueWhole() {
  queue.clear();
  queue_bytes = 0;
  whole_wanted = true;
  wake.cancel();
}

void DataplaneLink::QueueStatus(const SharedFrame& frame) {
  if (closed) return;
  status = frame;
  wake.cancel();
}

void DataplaneLink::Close() {
  closed = true;
  boost::system::error_code ignored;
  socket.close(ignored);
  wake.cancel();
}

void DataplaneLink::OnAck(const api::Ack& ack) {
  acked = ack.version;
  refusal_follows = ack.partial;
  if (refused && refused->version <= ack.version) refused.reset();
}

void DataplaneLink::OnRefuse(api::Refuse refusal) {
  ++refusals_total;
  refusal_follows = false;
  refused = std::move(refusal);
}

bool DataplaneLink::IsNews(const api::Refuse& refusal) {
  const auto now = std::chrono::steady_clock::now();
  if (refusal.reason == refusal_told && now - refusal_told_at < std::chrono::minutes(1)) return false;
  refusal_told = refusal.reason;
  refusal_told_at = now;
  return true;
}

bool DataplaneLink::OnReport(api::Report latest) {
  static const std::vector<api::Ejection> kNone;
  const std::vector<api::Ejection>& before = report ? report->ejected : kNone;
  const bool changed = !std::equal(before.begin(), before.end(), latest.ejected.begin(), latest.ejected.end(), [](const auto& a, const auto& b) {
    return a.service == b.service && a.endpoint == b.endpoint && a.generation == b.generation;
  });
  report = std::move(latest);
  reported_at = std::chrono::steady_clock::now();
  return changed;
}

std::optional<uint64_t> DataplaneLink::InFlight(const std::string& service, const std::string& endpoint, uint64_t version) const {
  if (!report || report->version < version) return std::nullopt;
  uint64_t exchanges = 0;
  for (const api::InFlight& entry : report->draining) {
    if (entry.service == service && entry.endpoint == endpoint) exchanges += entry.exchanges;
  }
  return exchanges;
}

}  // namespace ringway::cp
