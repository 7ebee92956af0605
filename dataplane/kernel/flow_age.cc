// See flow_age.h.
#include "dataplane/kernel/flow_age.h"

#include <algorithm>
#include <ctime>

namespace ringway::dp {
namespace {

constexpr uint32_t kOrphanTicks = 2;
constexpr uint32_t kDirectFinTicks = 10;  // the endpoint's own FIN is never seen

uint32_t Ticks(uint32_t ms) {
  constexpr uint64_t kTickNs = uint64_t{1} << L4_TICK_SHIFT;
  return static_cast<uint32_t>((uint64_t{ms} * 1'000'000 + kTickNs - 1) / kTickNs);
}

// Ticks wrap after 146 years. One from another CPU may be a moment ahead of ours.
uint32_t Before(uint32_t now, uint32_t ticks) { return now > ticks ? now - ticks : 0; }

}  // namespace

FlowTimeouts TimeoutsInTicks(const api::PacketTimeouts& t) {
  FlowTimeouts ticks{};
  ticks[L4_SYN] = ticks[L4_SYN_ACK] = Ticks(t.syn_ms);
  ticks[L4_ESTABLISHED] = Ticks(t.established_ms);
  ticks[L4_FIN_CLIENT] = ticks[L4_FIN_ENDPOINT] = Ticks(t.fin_ms);
  ticks[L4_CLOSED] = Ticks(t.closed_ms);
  ticks[L4_RESET] = Ticks(t.reset_ms);
  ticks[L4_UDP_NEW] = Ticks(t.udp_ms);
  ticks[L4_UDP_ANSWERED] = Ticks(t.udp_answered_ms);
  ticks[L4_UDP_STREAM] = Ticks(t.udp_stream_ms);
  return ticks;
}

uint32_t TickNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<uint32_t>((static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec)) >> L4_TICK_SHIFT);
}

uint32_t FreshFrom(const l4_flow& client, const FlowTimeouts& timeouts, uint32_t now) {
  const size_t state = std::min<size_t>(client.state, timeouts.size() - 1);
  uint32_t timeout = timeouts[state];
  if (state == L4_FIN_CLIENT && (client.flags & L4_FLOW_SINGLE) != 0) timeout = std::min(timeout, kDirectFinTicks);
  return Before(now, timeout);
}

uint32_t OrphanFreshFrom(uint32_t now) { return Before(now, kOrphanTicks - 1); }

bool FlowIsOpen(const l4_flow& flow) { return flow.state != L4_CLOSED && flow.state != L4_RESET; }

}  // namespace ringway::dp
