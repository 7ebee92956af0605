// How long a flow of packet delivery stays when nothing comes any more, by its state (bpf/lb_abi.h, "l4_flow"). Pure.
#pragma once

#include <array>
#include <cstdint>

#include "bpf/lb_abi.h"
#include "common/api/feed.h"

namespace ringway::dp {

// In ticks of 2^L4_TICK_SHIFT ns, rounded up; by enum l4_state.
using FlowTimeouts = std::array<uint32_t, L4_STATES>;
FlowTimeouts TimeoutsInTicks(const api::PacketTimeouts& timeouts);

// CLOCK_MONOTONIC_COARSE, as the programs read it.
uint32_t TickNow();

// The flow whose client's side is `client` is over if neither side had a packet at this tick or later.
uint32_t FreshFrom(const l4_flow& client, const FlowTimeouts& timeouts, uint32_t now);
// The same of an endpoint's side whose client's side is gone. Both are made in one go, so a moment is left for that.
uint32_t OrphanFreshFrom(uint32_t now);
// Still a connection to wait for when its endpoint drains?
bool FlowIsOpen(const l4_flow& flow);

}  // namespace ringway::dp
