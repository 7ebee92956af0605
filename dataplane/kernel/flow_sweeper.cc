// See flow_sweeper.h; batches: BPF_MAP_LOOKUP_BATCH, bpf(2).
#include "dataplane/kernel/flow_sweeper.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <numeric>

namespace ringway::dp {
namespace {

constexpr uint32_t kBatch = 8192;
constexpr std::chrono::seconds kRoundEvery{1};

bool EndpointGone(const l4_flow& flow, const PacketPlanner& endpoints) {
  if (flow.endpoint >= L4_ENDPOINTS_MAX) return true;
  const l4_endpoint& record = endpoints.RecordOf(flow.endpoint);
  return record.generation != flow.generation || record.state == L4_ABSENT || record.state == L4_DEAD;
}

}  // namespace

FlowSweeper::FlowSweeper(const PacketMapFds& fds) : fds_(fds), keys_(kBatch), flows_(kBatch) {}

void FlowSweeper::Begin(Clock::time_point now) {
  under_way_ = true;
  table_ = 0;
  continues_ = false;
  now_ = TickNow();
  began_ = now;
  std::fill(counting_.begin(), counting_.end(), 0);
  seen_[0] = seen_[1] = 0;
}

void FlowSweeper::Step(const PacketPlanner& endpoints, Clock::time_point now) {
  if (!under_way_ && now - began_ < kRoundEvery && counted_) return;
  if (!under_way_) Begin(now);
  if (Batch(table_ == 0 ? fds_.flows : fds_.half_open, endpoints)) return;
  continues_ = false;
  if (++table_ < 2) return;
  under_way_ = false;
  counted_ = began_;
  open_.swap(counting_);
  std::copy(std::begin(seen_), std::end(seen_), std::begin(entries_));
}

// A batch is whole buckets; an entry that moves between two of them is seen twice or not at all in one round, never deleted for it.
bool FlowSweeper::Batch(int map, const PacketPlanner& endpoints) {
  uint32_t count = static_cast<uint32_t>(keys_.size());
  bpf_map_batch_opts options{};
  options.sz = sizeof(options);
  uint64_t next = 0;
  const int result = bpf_map_lookup_batch(map, continues_ ? &token_ : nullptr, &next, keys_.data(), flows_.data(), &count, &options);
  const int error = result == 0 ? 0 : errno;
  if (error == ENOSPC) {  // one bucket holds more than that
    keys_.resize(keys_.size() * 2);
    flows_.resize(keys_.size());
    return true;
  }
  if (error != 0 && error != ENOENT) return false;
  for (uint32_t i = 0; i < count; ++i) Look(map, keys_[i], flows_[i], endpoints);
  token_ = next;
  continues_ = true;
  return error == 0;
}

void FlowSweeper::Look(int map, const l4_flow_key& key, const l4_flow& flow, const PacketPlanner& endpoints) {
  ++seen_[map == fds_.flows ? 0 : 1];
  if ((flow.flags & L4_FLOW_CLIENT) == 0) {
    l4_flow other;
    if (OrphanIsOver(flow, now_) && !Find(OtherSide(key, flow), other)) Delete(key);
    return;
  }
  const bool single = (flow.flags & L4_FLOW_SINGLE) != 0;
  const bool gone = EndpointGone(flow, endpoints);
  // Most are far from their time: the other side is only asked for when this one's word is not enough.
  if (gone || FlowIsOver(flow, nullptr, timeouts_, now_)) {
    l4_flow other;
    // A port may have found another flow since.
    const bool paired = !single && Find(OtherSide(key, flow), other) && other.endpoint == flow.endpoint && other.generation == flow.generation;
    // One whose endpoint is dead or replaced stays for a moment: its client's next packet is answered with a reset.
    if (FlowIsOver(flow, paired ? &other : nullptr, timeouts_, now_) || (gone && OrphanIsOver(flow, now_))) {
      Delete(key);
      if (paired) Delete(OtherSide(key, flow));
      ++swept_;
      return;
    }
  }
  if (!gone && FlowIsOpen(flow)) ++counting_[flow.endpoint];
}

bool FlowSweeper::Find(const l4_flow_key& key, l4_flow& out) const {
  return bpf_map_lookup_elem(fds_.flows, &key, &out) == 0 || bpf_map_lookup_elem(fds_.half_open, &key, &out) == 0;
}

void FlowSweeper::Delete(const l4_flow_key& key) const {
  bpf_map_delete_elem(fds_.flows, &key);
  bpf_map_delete_elem(fds_.half_open, &key);
}

uint64_t FlowSweeper::FlowsOpen() const { return std::accumulate(open_.begin(), open_.end(), uint64_t{0}); }

}  // namespace ringway::dp
