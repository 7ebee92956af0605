#include "bench/compare/tools/sockets.h"

#include <gtest/gtest.h>

namespace ringway::bench {
namespace {

TEST(Addresses, AreRead) {
  ASSERT_EQ(ParseAddresses("127.0.0.1:8080").size(), 1u);
  EXPECT_EQ(ParseAddresses("127.0.0.1:8080").front().text(), "127.0.0.1:8080");
  EXPECT_TRUE(ParseAddresses("127.9.0.1:8080").front().loopback_v4());
  EXPECT_EQ(ParseAddresses("[::1]:8080").front().text(), "[::1]:8080");
  EXPECT_FALSE(ParseAddresses("[::1]:8080").front().loopback_v4());
}

TEST(Addresses, ARangeIsOneForEachPort) {
  const std::vector<Address> range = ParseAddresses("127.0.0.1:9001-10000");
  ASSERT_EQ(range.size(), 1000u);
  EXPECT_EQ(range.front().text(), "127.0.0.1:9001");
  EXPECT_EQ(range.back().text(), "127.0.0.1:10000");
  EXPECT_EQ(CheckRange("127.0.0.1:9001-10000"), "");
  EXPECT_NE(CheckAddress("127.0.0.1:9001-10000"), "");
  EXPECT_EQ(ParseAddresses("127.0.0.1:65530-65535").size(), 6u);
}

TEST(Addresses, WhatIsNoneIsRefused) {
  for (const char* text : {"", "127.0.0.1", ":80", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "localhost:80", "::1:80", "[::1]",
                           "127.0.0.1:20-10", "127.0.0.1:10-", "127.0.0.1:1x"}) {
    EXPECT_TRUE(ParseAddresses(text).empty()) << text;
    EXPECT_NE(CheckRange(text), "") << text;
  }
}

}  // namespace
}  // namespace ringway::bench
