// FormatIp follows RFC 5952; BlockContains compares whole and broken bytes.
#include "dataplane/core/ip_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <string>

namespace ringway::dp {
namespace {

IpAddress Address(const char* text) {
  IpAddress address;
  address.v6 = std::string(text).find(':') != std::string::npos;
  EXPECT_EQ(inet_pton(address.v6 ? AF_INET6 : AF_INET, text, address.bytes.data()), 1) << text;
  return address;
}

std::string Text(const char* from) {
  char out[kIpTextMax];
  return {out, FormatIp(Address(from), out)};
}

TEST(FormatIp, V4) {
  for (const char* text : {"0.0.0.0", "10.9.8.7", "255.255.255.255", "100.10.1.200"}) EXPECT_EQ(Text(text), text);
}

TEST(FormatIp, V6AsRfc5952) {
  for (const char* text : {"::", "::1", "1::", "2001:db8::1", "2001:db8:0:1:1:1:1:1", "1:0:0:2::3", "fe80::1:0:0:1",
                           "abcd:ef01:2345:6789:abcd:ef01:2345:6789"}) {
    EXPECT_EQ(Text(text), text);
  }
  EXPECT_EQ(Text("2001:DB8:0:0:8:0:0:1"), "2001:db8::8:0:0:1");  // the first of two equal runs
  EXPECT_EQ(Text("::ffff:192.0.2.1"), "192.0.2.1");
}

TEST(BlockContains, BitsDecide) {
  const IpBlock block{Address("10.32.0.0"), 11};
  EXPECT_TRUE(BlockContains(block, Address("10.63.255.1")));
  EXPECT_FALSE(BlockContains(block, Address("10.64.0.1")));
  EXPECT_TRUE(BlockContains({Address("0.0.0.0"), 0}, Address("9.9.9.9")));
  EXPECT_FALSE(BlockContains({Address("9.9.9.8"), 32}, Address("9.9.9.9")));
  EXPECT_TRUE(BlockContains({Address("2001:db8::"), 32}, Address("2001:db8:ffff::1")));
  EXPECT_FALSE(BlockContains({Address("0.0.0.0"), 0}, Address("::1")));  // families are apart
}

}  // namespace
}  // namespace ringway::dp
