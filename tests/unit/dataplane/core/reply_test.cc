// WriteReply: every status is a valid response that the strict parser reads back, within its bound.
#include "dataplane/core/reply.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "dataplane/core/http_head.h"

namespace ringway::dp {
namespace {

std::string Reply(const ReplyOptions& options) {
  std::array<char, kReplyBytesMax> out;
  const uint32_t size = WriteReply(options, out.data());
  EXPECT_LE(size, kReplyBytesMax);
  return {out.data(), size};
}

TEST(WriteReply, EveryStatusIsReadBackAsItsOwn) {
  for (const uint16_t status : {400, 404, 408, 414, 431, 501, 502, 503, 504, 505}) {
    const std::string text = Reply({.status = status, .retry_after_s = 4'000'000'000u});
    ResponseHead head;
    uint32_t scanned = 0;
    ASSERT_EQ(ParseResponseHead(text.data(), static_cast<uint32_t>(text.size()), 16384, scanned, head), HeadError::kNone);
    EXPECT_EQ(head.status, status);
    ASSERT_TRUE(head.has_length);
    EXPECT_EQ(head.size + head.length, text.size());
    EXPECT_FALSE(head.keep_alive);
  }
}

TEST(WriteReply, ConnectionStaysWhenAsked) {
  EXPECT_EQ(Reply({.status = 404, .keep_alive = true}).find("Connection"), std::string::npos);
  EXPECT_NE(Reply({.status = 404}).find("\r\nConnection: close\r\n"), std::string::npos);
}

TEST(WriteReply, HeadGetsTheLengthWithoutTheBody) {
  const std::string text = Reply({.status = 503, .head_only = true});
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
  EXPECT_EQ(text.find("Content-Length: 0"), std::string::npos);
}

TEST(WriteReply, RetryAfterOnlyWhenSet) {
  EXPECT_NE(Reply({.status = 503, .retry_after_s = 7}).find("\r\nRetry-After: 7\r\n"), std::string::npos);
  EXPECT_EQ(Reply({.status = 503}).find("Retry-After"), std::string::npos);
}

}  // namespace
}  // namespace ringway::dp
