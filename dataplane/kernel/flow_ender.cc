// See flow_ender.h. BPF_PROG_TYPE_SYSCALL and BPF_PROG_TEST_RUN: bpf(2); no privilege but CAP_BPF to load it.
#include "dataplane/kernel/flow_ender.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

// After the ABI, of whose types its memory is.
#include <l4_sweep.skel.h>

#include "dataplane/kernel/bpf_error.h"
#include "dataplane/kernel/bpf_object.h"

namespace ringway::dp {

struct FlowEnder::State {
  BpfObject<l4_sweep_bpf> object;
  int program = -1;
};

FlowEnder::FlowEnder(std::unique_ptr<State> state) : state_(std::move(state)) {}
FlowEnder::FlowEnder(FlowEnder&&) noexcept = default;
FlowEnder& FlowEnder::operator=(FlowEnder&&) noexcept = default;
FlowEnder::~FlowEnder() = default;

absl::StatusOr<FlowEnder> FlowEnder::Load(const PacketMapFds& fds, const std::string& log_folder) {
  absl::StatusOr<BpfObject<l4_sweep_bpf>> object = BpfObject<l4_sweep_bpf>::Open("l4_sweep", log_folder);
  if (!object.ok()) return object.status();
  // Its headers declare all maps; those that it does not use are not made.
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, (*object)->obj) {
    if (!bpf_map__is_internal(map)) bpf_map__set_autocreate(map, false);
  }
  const std::pair<bpf_map*, int> tables[] = {{(*object)->maps.l4_flows, fds.flows}, {(*object)->maps.l4_half_open, fds.half_open}};
  for (const auto& [table, fd] : tables) {
    bpf_map__set_autocreate(table, true);
    if (const int error = bpf_map__reuse_fd(table, fd); error != 0) return BpfError(-error, "l4_sweep: the flow tables cannot be used");
  }
  if (absl::Status s = object->Load(); !s.ok()) return s;
  auto state = std::make_unique<State>(State{*std::move(object)});
  state->program = bpf_program__fd(state->object->progs.l4_sweep);
  return FlowEnder(std::move(state));
}

void FlowEnder::Add(const l4_flow_key& key, const l4_flow& seen, uint32_t fresh_from, bool half_open, uint16_t slot) {
  l4_over& over = state_->object->bss->overs[count_++];
  over = {.key = key, .life = 0, .fresh_from = fresh_from, .slot = slot, .half_open = half_open, .ended = 0};
  std::memcpy(&over.life, reinterpret_cast<const char*>(&seen) + offsetof(l4_flow, service), sizeof(over.life));
}

absl::StatusOr<std::span<const l4_over>> FlowEnder::End() {
  auto* memory = state_->object->bss;
  memory->overs_count = std::exchange(count_, 0);
  if (memory->overs_count == 0) return std::span<const l4_over>();
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  if (bpf_prog_test_run_opts(state_->program, &options) != 0) return BpfError(errno, "flows that are over cannot be ended");
  return std::span<const l4_over>(memory->overs, memory->overs_count);
}

}  // namespace ringway::dp
