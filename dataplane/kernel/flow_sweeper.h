// Ends flows whose time is over and counts those that are open, per endpoint: the kernel's programs only make and use them.
// A round goes over both flow tables in batches of bounded size, and one over full tables of any size takes about kStepsOfARound
// calls. A new round begins a second after the last one began, or, for tables that are large or hold much, up to four: a flow that is
// over harms nobody while there is room, and most of a round's cost is going over those that stay. Where somebody waits for flows to
// end, or the table is three quarters full, it is each second. The half-open table comes first: flows move from it to the other, so none is missed
// on its way. One thread. What it costs: bench/flow_table.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bpf/lb_abi.h"
#include "dataplane/kernel/flow_age.h"
#include "dataplane/kernel/flow_ender.h"
#include "dataplane/kernel/packet_maps.h"

namespace ringway::dp {

class FlowSweeper {
 public:
  using Clock = std::chrono::steady_clock;

  // `ender` outlives it.
  FlowSweeper(const PacketMapFds& fds, FlowEnder& ender);
  void SetTimeouts(const api::PacketTimeouts& timeouts) { timeouts_ = TimeoutsInTicks(timeouts); }

  // Some batches, if a round is under way or due. `waited_for`: somebody waits until flows have ended, and for the count.
  void Step(const PacketPlanner& endpoints, Clock::time_point now, bool waited_for);

  // Of the last round that is complete; before the first one nothing is known.
  bool counted() const { return counted_.has_value(); }
  Clock::time_point counted_since() const { return *counted_; }  // when it began
  uint64_t FlowsOf(uint32_t slot) const { return open_[slot]; }
  uint64_t FlowsOpen() const;
  uint64_t entries() const { return entries_[1]; }
  uint64_t half_open_entries() const { return entries_[0]; }
  uint64_t swept() const { return swept_; }
  // Why the last round could not be finished; empty when it was. Nothing of such a round counts.
  const std::string& trouble() const { return trouble_; }

 private:
  enum class Batched { kMore, kDone, kFailed };
  Clock::duration RoundEvery(bool waited_for) const;
  void Begin(Clock::time_point now);
  Batched Batch(const PacketPlanner& endpoints);
  bool EndsRound(Batched batched);
  void Finish();
  bool Look(bool half_open, const l4_flow_key& key, const l4_flow& flow, const PacketPlanner& endpoints);
  bool EndOver();
  bool LooksForOrphans(bool half_open, const l4_flow_key& key) const;

  const PacketMapFds fds_;
  FlowEnder& ender_;
  FlowTimeouts timeouts_ = TimeoutsInTicks({});
  std::vector<l4_flow_key> keys_;
  std::vector<l4_flow> flows_;
  const uint32_t batches_;  // of a step
  uint32_t round_ = 0;
  bool under_way_ = false;
  int table_ = 0;           // 0: half open, 1: flows
  bool continues_ = false;  // `token_` is where the batch before ended
  uint64_t token_ = 0;
  uint32_t now_ = 0;        // tick
  Clock::time_point began_{};
  std::vector<uint64_t> counting_ = std::vector<uint64_t>(L4_ENDPOINTS_MAX);
  uint64_t seen_[2] = {0, 0};
  std::optional<Clock::time_point> counted_;
  std::vector<uint64_t> open_ = std::vector<uint64_t>(L4_ENDPOINTS_MAX);
  uint64_t entries_[2] = {0, 0};
  uint64_t swept_ = 0;
  std::string trouble_;
};

}  // namespace ringway::dp
