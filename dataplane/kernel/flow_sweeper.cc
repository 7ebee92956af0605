// See flow_sweeper.h; batches: BPF_MAP_LOOKUP_BATCH, bpf(2).
#include "dataplane/kernel/flow_sweeper.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>

#include "dataplane/kernel/bpf_error.h"

namespace ringway::dp {
namespace {

constexpr uint32_t kBatch = 1024;
constexpr std::chrono::seconds kRoundEveryMin{1};
constexpr std::chrono::seconds kRoundEveryMax{4};
constexpr uint64_t kEntriesOfASecond = 16384;  // as many more, and the next round is a second later
constexpr uint64_t kPlacesOfAnEntry = 16;      // so many empty places of a table take as long as an entry: 20 ns, 320 ns
constexpr uint32_t kStepsOfARound = 100;  // five seconds of the thread's turns
constexpr uint32_t kOrphanRounds = 16;

bool EndpointGone(const l4_flow& flow, const PacketPlanner& endpoints) {
  if (flow.endpoint >= L4_ENDPOINTS_MAX) return true;
  const l4_endpoint& record = endpoints.RecordOf(flow.endpoint);
  return record.generation != flow.generation || record.state == L4_ABSENT || record.state == L4_DEAD;
}

bool Same(const l4_flow& a, const l4_flow& b) { return std::memcmp(&a, &b, sizeof(a)) == 0; }

}  // namespace

FlowSweeper::FlowSweeper(const PacketMapFds& fds)
    : fds_(fds), keys_(kBatch), flows_(kBatch), batches_((fds.flows_max + fds.half_open_max) / kBatch / kStepsOfARound + 1) {}

void FlowSweeper::Begin(Clock::time_point now) {
  under_way_ = true;
  ++round_;
  table_ = 0;
  continues_ = false;
  now_ = TickNow();
  began_ = now;
  std::fill(counting_.begin(), counting_.end(), 0);
  seen_[0] = seen_[1] = 0;
}

FlowSweeper::Clock::duration FlowSweeper::RoundEvery(bool waited_for) const {
  if (waited_for || entries_[1] > uint64_t{fds_.flows_max} * 3 / 4) return kRoundEveryMin;
  const uint64_t work = entries_[0] + entries_[1] + (uint64_t{fds_.flows_max} + fds_.half_open_max) / kPlacesOfAnEntry;
  return std::min<Clock::duration>(kRoundEveryMin + std::chrono::seconds(work / kEntriesOfASecond), kRoundEveryMax);
}

void FlowSweeper::Step(const PacketPlanner& endpoints, Clock::time_point now, bool waited_for) {
  if (!under_way_ && now - began_ < RoundEvery(waited_for) && (counted_ || !trouble_.empty())) return;
  if (!under_way_) Begin(now);
  for (uint32_t i = 0; i < batches_; ++i) {
    if (EndsRound(Batch(table_ == 0 ? fds_.half_open : fds_.flows, endpoints))) return;
  }
}

bool FlowSweeper::EndsRound(Batched batched) {
  if (batched == Batched::kMore) return false;
  if (batched == Batched::kFailed) {
    under_way_ = false;
    return true;
  }
  continues_ = false;
  if (++table_ < 2) return false;
  Finish();
  return true;
}

void FlowSweeper::Finish() {
  under_way_ = false;
  trouble_.clear();
  counted_ = began_;
  open_.swap(counting_);
  std::copy(std::begin(seen_), std::end(seen_), std::begin(entries_));
}

// A batch is whole buckets; an entry that is confirmed in between is seen once more in the table it moved to.
FlowSweeper::Batched FlowSweeper::Batch(int map, const PacketPlanner& endpoints) {
  uint32_t count = static_cast<uint32_t>(keys_.size());
  bpf_map_batch_opts options{};
  options.sz = sizeof(options);
  uint64_t next = 0;
  const int result = bpf_map_lookup_batch(map, continues_ ? &token_ : nullptr, &next, keys_.data(), flows_.data(), &count, &options);
  const int error = result == 0 ? 0 : errno;
  if (error == ENOSPC) {  // one bucket holds more than that
    keys_.resize(keys_.size() * 2);
    flows_.resize(keys_.size());
    return Batched::kMore;
  }
  if (error != 0 && error != ENOENT) {
    trouble_ = std::string(BpfError(error, "the flows cannot be gone over").message());
    return Batched::kFailed;
  }
  for (uint32_t i = 0; i < count; ++i) Look(map, keys_[i], flows_[i], endpoints);
  token_ = next;
  continues_ = true;
  return error == 0 ? Batched::kMore : Batched::kDone;
}

void FlowSweeper::Look(int map, const l4_flow_key& key, const l4_flow& flow, const PacketPlanner& endpoints) {
  ++seen_[map == fds_.flows ? 1 : 0];
  if ((flow.flags & L4_FLOW_CLIENT) == 0) {
    l4_flow other;
    if (LooksForOrphans(map, key) && OrphanIsOver(flow, now_) && !Find(OtherSide(key, flow), other)) DeleteSame(key, flow);
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
    const bool over = FlowIsOver(flow, paired ? &other : nullptr, timeouts_, now_) || (gone && OrphanIsOver(flow, now_));
    if (over && DeleteSame(key, flow)) {
      if (paired) DeleteSame(OtherSide(key, flow), other);
      ++swept_;
      return;
    }
  }
  if (!gone && FlowIsOpen(flow)) ++counting_[flow.endpoint];
}

// A call to the kernel for each flow: among the half-open ones, whose sides are pushed out singly, in each round; among the others,
// which lose a side only by a fault, for a part of them in each.
bool FlowSweeper::LooksForOrphans(int map, const l4_flow_key& key) const {
  return map == fds_.half_open || (key.dest_port + round_) % kOrphanRounds == 0;
}

bool FlowSweeper::Find(const l4_flow_key& key, l4_flow& out) const {
  return bpf_map_lookup_elem(fds_.flows, &key, &out) == 0 || bpf_map_lookup_elem(fds_.half_open, &key, &out) == 0;
}

// What was copied may be milliseconds old. Looked at again, and what is taken out is looked at once more: if a packet came
// between these two calls it is put back.
bool FlowSweeper::DeleteSame(const l4_flow_key& key, const l4_flow& seen) const {
  for (const int map : {fds_.flows, fds_.half_open}) {  // most of what ends was confirmed
    l4_flow flow;
    if (bpf_map_lookup_elem(map, &key, &flow) != 0 || !Same(flow, seen)) continue;
    if (bpf_map_lookup_and_delete_elem(map, &key, &flow) != 0) continue;
    if (Same(flow, seen)) return true;
    bpf_map_update_elem(map, &key, &flow, BPF_NOEXIST);
  }
  return false;
}

uint64_t FlowSweeper::FlowsOpen() const { return std::accumulate(open_.begin(), open_.end(), uint64_t{0}); }

}  // namespace ringway::dp
