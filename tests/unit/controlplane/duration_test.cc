// Durations in and out.
#include "controlplane/config/duration.h"

#include <gtest/gtest.h>

namespace ringway::cp {
namespace {

TEST(Duration, ReadsEveryUnit) {
  EXPECT_EQ(*ParseDurationMs("500ms"), 500u);
  EXPECT_EQ(*ParseDurationMs("2s"), 2000u);
  EXPECT_EQ(*ParseDurationMs("1.5s"), 1500u);
  EXPECT_EQ(*ParseDurationMs("1m"), 60000u);
  EXPECT_EQ(*ParseDurationMs("24h"), 86400000u);
}

TEST(Duration, RefusesWhatHasNoUnitOrAnUnknownOne) {
  for (const char* text : {"", "5", "s", "5 s", "5d", "-1s", "1e3s", "1..5s", ".s", "1s5", "1m30s", "99999999999h"}) {
    EXPECT_FALSE(ParseDurationMs(text).ok()) << text;
  }
}

TEST(Duration, WritesWhatReadsBackTheSame) {
  for (const uint32_t ms : {1u, 500u, 1000u, 1500u, 60000u, 90000u, 3600000u, 86400000u}) {
    EXPECT_EQ(*ParseDurationMs(FormatDuration(ms)), ms) << FormatDuration(ms);
  }
  EXPECT_EQ(FormatDuration(60000), "1m");
}

}  // namespace
}  // namespace ringway::cp
