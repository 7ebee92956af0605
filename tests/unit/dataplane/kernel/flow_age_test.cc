// When a flow is over, by its state.
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

bool FlowIsOver(const l4_flow& flow) { return flow.tick < FreshFrom(flow, TimeoutsInTicks({}), kNow); }

TEST(FlowAge, EachStateHasItsTime) {
  const FlowTimeouts timeouts = TimeoutsInTicks({});
  for (int state = 0; state < L4_STATES; ++state) {
    const uint32_t timeout = timeouts[static_cast<size_t>(state)];
    EXPECT_GT(timeout, 0u) << state;
    EXPECT_FALSE(FlowIsOver(Flow(static_cast<l4_state>(state), timeout)));
    EXPECT_TRUE(FlowIsOver(Flow(static_cast<l4_state>(state), timeout + 1)));
  }
  EXPECT_EQ(timeouts[L4_SYN], 10u);  // 10 s are 9.3 ticks
  EXPECT_EQ(timeouts[L4_ESTABLISHED], 6930u);
}

TEST(FlowAge, WithDirectReturnAClientsFinIsAllThatIsSeen) {
  EXPECT_TRUE(FlowIsOver(Flow(L4_FIN_CLIENT, 11, L4_FLOW_CLIENT | L4_FLOW_SINGLE)));
  EXPECT_FALSE(FlowIsOver(Flow(L4_FIN_CLIENT, 11)));
}

TEST(FlowAge, ATickFromTheFutureIsNow) {
  l4_flow flow = Flow(L4_RESET, 0);
  flow.tick = kNow + 1;
  EXPECT_FALSE(FlowIsOver(flow));
  EXPECT_GE(flow.tick, OrphanFreshFrom(kNow));
}

TEST(FlowAge, OnAMachineThatJustStartedNothingIsOver) {
  l4_flow flow{};
  flow.state = L4_RESET;
  EXPECT_EQ(FreshFrom(flow, TimeoutsInTicks({}), 1), 0u);
  EXPECT_EQ(OrphanFreshFrom(0), 0u);
}

}  // namespace
}  // namespace ringway::dp
