// When a flow is over: by its state, and by whichever side spoke last.
#include "dataplane/kernel/flow_age.h"

#include <gtest/gtest.h>

namespace ringway::dp {
namespace {

constexpr uint32_t kNow = 100000;

l4_flow Flow(l4_state state, uint32_t idle, __u8 flags = L4_FLOW_CLIENT) {
  l4_flow flow{};
  flow.state = state;
  flow.flags = flags;
  flow.tick = kNow - idle;
  return flow;
}

TEST(FlowAge, EachStateHasItsTime) {
  const FlowTimeouts timeouts = TimeoutsInTicks({});
  for (int state = 0; state < L4_STATES; ++state) {
    const uint32_t timeout = timeouts[static_cast<size_t>(state)];
    EXPECT_GT(timeout, 0u) << state;
    EXPECT_FALSE(FlowIsOver(Flow(static_cast<l4_state>(state), timeout), nullptr, timeouts, kNow));
    EXPECT_TRUE(FlowIsOver(Flow(static_cast<l4_state>(state), timeout + 1), nullptr, timeouts, kNow));
  }
  EXPECT_EQ(timeouts[L4_SYN], 10u);  // 10 s are 9.3 ticks
  EXPECT_EQ(timeouts[L4_ESTABLISHED], 6930u);
}

TEST(FlowAge, TheSideThatSpokeLastCounts) {
  const FlowTimeouts timeouts = TimeoutsInTicks({});
  const l4_flow fresh = Flow(L4_UDP_STREAM, 1, 0);
  EXPECT_FALSE(FlowIsOver(Flow(L4_UDP_STREAM, 5000), &fresh, timeouts, kNow));
}

TEST(FlowAge, WithDirectReturnAClientsFinIsAllThatIsSeen) {
  const FlowTimeouts timeouts = TimeoutsInTicks({});
  EXPECT_TRUE(FlowIsOver(Flow(L4_FIN_CLIENT, 11, L4_FLOW_CLIENT | L4_FLOW_SINGLE), nullptr, timeouts, kNow));
  EXPECT_FALSE(FlowIsOver(Flow(L4_FIN_CLIENT, 11), nullptr, timeouts, kNow));
}

TEST(FlowAge, ATickFromTheFutureIsNow) {
  l4_flow flow = Flow(L4_RESET, 0);
  flow.tick = kNow + 1;
  EXPECT_FALSE(FlowIsOver(flow, nullptr, TimeoutsInTicks({}), kNow));
  EXPECT_FALSE(OrphanIsOver(flow, kNow));
}

TEST(FlowAge, TheOtherSideIsTheAnswerToWhatPacketsBecome) {
  l4_flow_key key{};
  key.source[3] = 1, key.dest[3] = 2, key.source_port = 3, key.dest_port = 4, key.protocol = 6;
  l4_flow flow{};
  flow.source[3] = 11, flow.dest[3] = 12, flow.source_port = 13, flow.dest_port = 14;
  const l4_flow_key other = OtherSide(key, flow);
  EXPECT_EQ(other.source[3], 12u);
  EXPECT_EQ(other.dest[3], 11u);
  EXPECT_EQ(other.source_port, 14u);
  EXPECT_EQ(other.dest_port, 13u);
  EXPECT_EQ(other.protocol, 6u);
}

}  // namespace
}  // namespace ringway::dp
