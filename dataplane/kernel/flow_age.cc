// See flow_age.h.
#include "dataplane/kernel/flow_age.h"

#include <algorithm>
#include <cstring>
#include <ctime>

namespace ringway::dp {
namespace {

constexpr uint32_t kOrphanTicks = 2;
constexpr uint32_t kDirectFinTicks = 10;  // the endpoint's own FIN is never seen

uint32_t Ticks(uint32_t ms) {
  constexpr uint64_t kTickNs = uint64_t{1} << L4_TICK_SHIFT;
  return static_cast<uint32_t>((uint64_t{ms} * 1'000'000 + kTickNs - 1) / kTickNs);
}

// Ticks wrap after 146 years; one from another CPU may be a moment ahead of ours.
uint32_t Since(uint32_t tick, uint32_t now) { return now > tick ? now - tick : 0; }

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

bool FlowIsOver(const l4_flow& client, const l4_flow* other, const FlowTimeouts& timeouts, uint32_t now) {
  const uint32_t last = other == nullptr ? client.tick : std::max(client.tick, other->tick);
  const size_t state = std::min<size_t>(client.state, timeouts.size() - 1);
  uint32_t timeout = timeouts[state];
  if (state == L4_FIN_CLIENT && (client.flags & L4_FLOW_SINGLE) != 0) timeout = std::min(timeout, kDirectFinTicks);
  return Since(last, now) > timeout;
}

bool OrphanIsOver(const l4_flow& flow, uint32_t now) { return Since(flow.tick, now) >= kOrphanTicks; }

bool FlowIsOpen(const l4_flow& flow) { return flow.state != L4_CLOSED && flow.state != L4_RESET; }

l4_flow_key OtherSide(const l4_flow_key& key, const l4_flow& flow) {
  l4_flow_key other{};
  std::memcpy(other.source, flow.dest, sizeof(other.source));
  std::memcpy(other.dest, flow.source, sizeof(other.dest));
  other.source_port = flow.dest_port;
  other.dest_port = flow.source_port;
  other.protocol = key.protocol;
  return other;
}

}  // namespace ringway::dp
