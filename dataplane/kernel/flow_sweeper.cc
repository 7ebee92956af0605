// See flow_sweeper.h; batches: BPF_MAP_LOOKUP_BATCH, bpf(2).
#include "dataplane/kernel/flow_sweeper.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
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

}  // namespace

FlowSweeper::FlowSweeper(const PacketMapFds& fds, FlowEnder& ender)
    : fds_(fds), ender_(ender), keys_(kBatch), flows_(kBatch), batches_((fds.flows_max + fds.half_open_max) / kBatch / kStepsOfARound + 1) {}

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
    if (EndsRound(Batch(endpoints))) return;
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
FlowSweeper::Batched FlowSweeper::Batch(const PacketPlanner& endpoints) {
  uint32_t count = static_cast<uint32_t>(keys_.size());
  bpf_map_batch_opts options{};
  options.sz = sizeof(options);
  uint64_t next = 0;
  const bool half_open = table_ == 0;
  const int result = bpf_map_lookup_batch(half_open ? fds_.half_open : fds_.flows, continues_ ? &token_ : nullptr, &next, keys_.data(), flows_.data(), &count, &options);
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
  for (uint32_t i = 0; i < count; ++i) {
    if (!Look(half_open, keys_[i], flows_[i], endpoints)) return Batched::kFailed;
  }
  if (!EndOver()) return Batched::kFailed;
  token_ = next;
  continues_ = true;
  return error == 0 ? Batched::kMore : Batched::kDone;
}

// False when what is over cannot be ended.
bool FlowSweeper::Look(bool half_open, const l4_flow_key& key, const l4_flow& flow, const PacketPlanner& endpoints) {
  ++seen_[half_open ? 0 : 1];
  uint32_t fresh_from = 0;
  uint16_t counted = 0;
  if ((flow.flags & L4_FLOW_CLIENT) == 0) {
    if (LooksForOrphans(half_open, key)) fresh_from = OrphanFreshFrom(now_);
  } else {
    fresh_from = FreshFrom(flow, timeouts_, now_);
    // One whose endpoint is dead or replaced stays for a moment: its client's next packet is answered with a reset.
    if (EndpointGone(flow, endpoints)) fresh_from = std::max(fresh_from, OrphanFreshFrom(now_));
    else if (FlowIsOpen(flow)) counted = static_cast<uint16_t>(flow.endpoint);
  }
  if (counted != 0) ++counting_[counted];
  if (flow.tick >= fresh_from) return true;  // most
  ender_.Add(key, flow, fresh_from, half_open, counted);
  return !ender_.full() || EndOver();
}

bool FlowSweeper::EndOver() {
  const absl::StatusOr<std::span<const l4_over>> overs = ender_.End();
  if (!overs.ok()) {
    trouble_ = std::string(overs.status().message());
    return false;
  }
  for (const l4_over& over : *overs) {
    if (over.ended != L4_ENDED) continue;
    if (over.slot != 0) --counting_[over.slot];
    ++swept_;
  }
  return true;
}

// Among the half-open ones, whose sides are pushed out singly, in each round; among the others, which lose a side only by a fault, a
// part of them in each.
bool FlowSweeper::LooksForOrphans(bool half_open, const l4_flow_key& key) const {
  return half_open || (key.dest_port + round_) % kOrphanRounds == 0;
}

uint64_t FlowSweeper::FlowsOpen() const { return std::accumulate(open_.begin(), open_.end(), uint64_t{0}); }

}  // namespace ringway::dp
