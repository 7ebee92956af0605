// Go durations, in and out.
#include "sidecar/duration.h"

#include <gtest/gtest.h>

namespace ringway::sidecar {
namespace {

TEST(ParseDuration, ReadsWhatGoReads) {
  EXPECT_EQ(ParseDuration("10s")->count(), 10000);
  EXPECT_EQ(ParseDuration("300ms")->count(), 300);
  EXPECT_EQ(ParseDuration("0.5s")->count(), 500);
  EXPECT_EQ(ParseDuration("1m30s")->count(), 90000);
  EXPECT_EQ(ParseDuration("1h")->count(), 3600000);
  EXPECT_EQ(ParseDuration("5us")->count(), 0);
  EXPECT_EQ(ParseDuration("0")->count(), 0);
}

TEST(ParseDuration, RefusesTheRest) {
  for (const char* wrong : {"", "5", "s", "-1s", "1x", ".s", "1..5s", "1s ", "999999999h"}) {
    EXPECT_FALSE(ParseDuration(wrong).ok()) << wrong;
  }
}

TEST(FormatDuration, IsReadBack) {
  for (const int64_t ms : {0, 1, 300, 1000, 90000}) {
    EXPECT_EQ(ParseDuration(FormatDuration(std::chrono::milliseconds(ms)))->count(), ms);
  }
}

}  // namespace
}  // namespace ringway::sidecar
