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

// Is the flow whose client's side is `client` over? `other` is the endpoint's side; null when it is gone, or there is none.
bool FlowIsOver(const l4_flow& client, const l4_flow* other, const FlowTimeouts& timeouts, uint32_t now);
// An endpoint's side whose client's side is gone. Both are made in one go, so a moment is left for that.
bool OrphanIsOver(const l4_flow& flow, uint32_t now);
// Still a connection to wait for when its endpoint drains?
bool FlowIsOpen(const l4_flow& flow);

// Where the other side of the flow stands (none with L4_FLOW_SINGLE).
l4_flow_key OtherSide(const l4_flow_key& key, const l4_flow& flow);

}  // namespace ringway::dp
