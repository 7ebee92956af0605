// Ends flows that the sweeper found to be over, in the kernel, hundreds in one call: bpf/l4_sweep.bpf.c looks at each once more and
// leaves what a packet has touched since, or another CPU has taken. Belongs to the loaded programs (packet_programs.h); one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bpf/lb_abi.h"
#include "dataplane/kernel/packet_maps.h"

namespace ringway::dp {

class FlowEnder {
 public:
  // Over these tables. Errors as PacketPrograms::Load.
  static absl::StatusOr<FlowEnder> Load(const PacketMapFds& fds, const std::string& log_folder);
  FlowEnder(FlowEnder&&) noexcept;
  FlowEnder& operator=(FlowEnder&&) noexcept;
  ~FlowEnder();

  // The entry as it was `seen`, which is over unless one of its sides had a packet at tick `fresh_from` or later. Not when full.
  void Add(const l4_flow_key& key, const l4_flow& seen, uint32_t fresh_from, bool half_open, uint16_t slot);
  bool full() const { return count_ == L4_OVERS_MAX; }
  // What was added, with `ended` of each, until the next Add. Nothing is left to be done then, whatever came of it.
  absl::StatusOr<std::span<const l4_over>> End();

 private:
  struct State;
  explicit FlowEnder(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
  uint32_t count_ = 0;
};

}  // namespace ringway::dp
