// Response heads: what is read and cut, and what makes an endpoint's answer unusable (502).
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/unit/dataplane/core/http_test_support.h"

namespace ringway::dp::test {
namespace {

std::string Ok(const std::string& fields, const std::string& start = "HTTP/1.1 200 OK") {
  return start + "\r\n" + fields + "\r\n";
}

TEST(HttpResponse, ReadsAllOfACommonResponse) {
  const auto p = ParseResponse(
      Ok("Date: Sun, 22 Nov 2026 13:00:00 GMT\r\nServer: Apache/2.4.62 (Debian)\r\n"
         "Content-Length: 1234\r\nKeep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\n"
         "Content-Type: text/html; charset=UTF-8\r\n") +
      "body");
  ASSERT_EQ(p.error, HeadError::kNone);
  EXPECT_EQ(p.head.size, p.text.size() - 4);
  EXPECT_EQ(p.head.status, 200);
  EXPECT_EQ(p.head.minor_version, 1);
  EXPECT_TRUE(p.head.keep_alive);
  EXPECT_FALSE(p.head.chunked);
  EXPECT_TRUE(p.head.has_length);
  EXPECT_EQ(p.head.length, 1234u);
  EXPECT_EQ(p.text.substr(p.head.version_offset - 7, 8), "HTTP/1.1");
  EXPECT_EQ(p.text.substr(p.head.headers_offset, 5), "Date:");
  EXPECT_EQ(p.head.cuts.count, 1);
  EXPECT_EQ(p.Forwarded(), Ok("Date: Sun, 22 Nov 2026 13:00:00 GMT\r\n"
                              "Server: Apache/2.4.62 (Debian)\r\nContent-Length: 1234\r\n"
                              "Content-Type: text/html; charset=UTF-8\r\n"));
}

TEST(HttpResponse, StatusLinesThatAreAccepted) {
  for (const char* line :
       {"HTTP/1.1 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200", "HTTP/1.0 404 Not Found",
        "HTTP/1.1 200 \t x", "HTTP/1.1 200 \xc3\xa4", "HTTP/1.1 599 x", "HTTP/1.1 100 Continue"}) {
    EXPECT_EQ(ParseResponse(Ok("", line)).error, HeadError::kNone) << line;
  }
}

TEST(HttpResponse, StatusLinesThatAreRefused) {
  const struct {
    std::string_view line;
    HeadError error;
    BadReason reason;
  } kCases[] = {{"HTTP/1.1 099 x", HeadError::kBad, BadReason::kStatus},
                {"HTTP/1.1 600 x", HeadError::kBad, BadReason::kStatus},
                {"HTTP/1.1 000 x", HeadError::kBad, BadReason::kStatus},
                {"HTTP/1.1 20 OK", HeadError::kBad, BadReason::kRequestLine},
                {"HTTP/1.1 2000 OK", HeadError::kBad, BadReason::kRequestLine},
                {"HTTP/1.1 +20 OK", HeadError::kBad, BadReason::kRequestLine},
                {"HTTP/1.1  200 OK", HeadError::kBad, BadReason::kRequestLine},
                {"HTTP/1.1\t200 OK", HeadError::kBad, BadReason::kRequestLine},
                {"HTTP/1.1 200\tOK", HeadError::kBad, BadReason::kRequestLine},
                {"HTTP/1.1 200 O\x01K", HeadError::kBad, BadReason::kRequestLine},
                {"HTTP/1.1 200 O\x7fK", HeadError::kBad, BadReason::kRequestLine},
                {"HTTP/1.1 200 O\rK", HeadError::kBad, BadReason::kLineEnd},
                {"HTTP/1.1 200 O\nK", HeadError::kBad, BadReason::kLineEnd},
                {"HTTP/1.1 200\n", HeadError::kBad, BadReason::kLineEnd},
                {"http/1.1 200 OK", HeadError::kBad, BadReason::kRequestLine},
                {"ICY 200 OK", HeadError::kBad, BadReason::kRequestLine},
                {"\r\nHTTP/1.1 200 OK", HeadError::kBad, BadReason::kRequestLine},
                {"<html>", HeadError::kBad, BadReason::kRequestLine},
                {"HTTP/2.0 200 OK", HeadError::kVersion, BadReason::kNone},
                {"HTTP/1.2 200 OK", HeadError::kVersion, BadReason::kNone}};
  for (const auto& c : kCases) {
    const auto p = ParseResponse(Ok("", std::string(c.line)));
    EXPECT_EQ(p.error, c.error) << c.line;
    EXPECT_EQ(static_cast<int>(p.head.bad_reason), static_cast<int>(c.reason)) << c.line;
  }
}

TEST(HttpResponse, KeepAliveFollowsVersionAndConnection) {
  EXPECT_TRUE(ParseResponse(Ok("")).head.keep_alive);
  EXPECT_FALSE(ParseResponse(Ok("Connection: close\r\n")).head.keep_alive);
  EXPECT_FALSE(ParseResponse(Ok("Connection: x, Close\r\n")).head.keep_alive);
  EXPECT_FALSE(ParseResponse(Ok("", "HTTP/1.0 200 OK")).head.keep_alive);
  EXPECT_TRUE(ParseResponse(Ok("Connection: keep-alive\r\n", "HTTP/1.0 200 OK")).head.keep_alive);
}

TEST(HttpResponse, CutsHopByHopFieldsAndWhatConnectionNames) {
  const auto p = ParseResponse(Ok(
      "X-Hop: 1\r\nSet-Cookie: a\r\nConnection: close, x-hop\r\nUpgrade: h2,h2c\r\nTE: x\r\n"
      "Proxy-Connection: close\r\nProxy-Authenticate: Basic\r\nX-Forwarded-For: 1\r\nExpect: 1\r\n"
      "Host: a\r\nHost: b c\r\n"));
  ASSERT_EQ(p.error, HeadError::kNone);
  EXPECT_EQ(p.Forwarded(), Ok("Set-Cookie: a\r\nProxy-Authenticate: Basic\r\nX-Forwarded-For: 1\r\n"
                              "Expect: 1\r\nHost: a\r\nHost: b c\r\n"));
}

TEST(HttpResponse, SwitchingProtocolsKeepsTheUpgradeLine) {
  const std::string start = "HTTP/1.1 101 Switching Protocols";
  const auto p = ParseResponse(Ok("Upgrade: websocket\r\nConnection: Upgrade\r\nA: b\r\n", start));
  ASSERT_EQ(p.error, HeadError::kNone);
  EXPECT_TRUE(p.head.upgrade);
  EXPECT_EQ(p.At(p.head.upgrade_value), "websocket");
  EXPECT_EQ(p.Forwarded(), Ok("Upgrade: websocket\r\nA: b\r\n", start));
  for (const char* fields : {"Upgrade: websocket\r\n", "Connection: upgrade\r\n",
                             "Connection: upgrade\r\nUpgrade: h2c\r\n",
                             "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n"}) {
    EXPECT_FALSE(ParseResponse(Ok(fields, start)).head.upgrade) << fields;
    EXPECT_EQ(ParseResponse(Ok(fields, start)).Forwarded(), Ok("", start)) << fields;
  }
  EXPECT_FALSE(ParseResponse(Ok("Upgrade: a\r\nConnection: upgrade\r\n")).head.upgrade);
}

TEST(HttpResponse, ContentLengthIsCutWhereThereIsNeverABody) {
  for (const char* start : {"HTTP/1.1 204 No Content", "HTTP/1.1 100 Continue",
                            "HTTP/1.1 103 Hints", "HTTP/1.1 101 Switching"}) {
    const auto p = ParseResponse(Ok("A: b\r\nContent-Length: 5\r\nC: d\r\n", start));
    ASSERT_EQ(p.error, HeadError::kNone) << start;
    EXPECT_FALSE(p.head.has_length);
    EXPECT_EQ(p.head.length, 0u);
    EXPECT_EQ(p.Forwarded(), Ok("A: b\r\nC: d\r\n", start));
    EXPECT_EQ(ParseResponse(Ok("Transfer-Encoding: chunked\r\n", start)).head.bad_reason,
              BadReason::kTransferEncoding);
  }
  const auto not_modified = ParseResponse(Ok("Content-Length: 5\r\n", "HTTP/1.1 304 Not Modified"));
  EXPECT_TRUE(not_modified.head.has_length);
  EXPECT_EQ(not_modified.head.cuts.count, 0);
}

TEST(HttpResponse, FramingThatTwoParsersCouldReadDifferentlyIsRefused) {
  const struct {
    std::string_view fields;
    BadReason reason;
  } kCases[] = {
      {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", BadReason::kBothFramings},
      {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", BadReason::kBothFramings},
      {"Content-Length: 5\r\nContent-Length: 5\r\n", BadReason::kContentLength},
      {"Content-Length: 5, 5\r\n", BadReason::kContentLength},
      {"Content-Length: +5\r\n", BadReason::kContentLength},
      {"Content-Length:\r\n", BadReason::kContentLength},
      {"Transfer-Encoding: gzip, chunked\r\n", BadReason::kTransferEncoding},
      {"Transfer-Encoding: identity\r\n", BadReason::kTransferEncoding},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
       BadReason::kTransferEncoding},
      {"Connection: content-length\r\nContent-Length: 5\r\n", BadReason::kConnection},
      {"A: b\r\n c\r\n", BadReason::kFolded},
      {" A: b\r\n", BadReason::kFolded},
      {"A : b\r\n", BadReason::kFieldName},
      {"A: b\nC: d\r\n", BadReason::kLineEnd},
      {"A: b\rC: d\r\n", BadReason::kLineEnd},
      {"A: \x01\r\n", BadReason::kFieldValue},
  };
  for (const auto& c : kCases) {
    const auto p = ParseResponse(Ok(std::string(c.fields)));
    EXPECT_EQ(p.error, HeadError::kBad) << c.fields;
    EXPECT_EQ(static_cast<int>(p.head.bad_reason), static_cast<int>(c.reason)) << c.fields;
  }
}

TEST(HttpResponse, TransferEncodingFromHttp10IsRefused) {
  const auto p = ParseResponse(Ok("Transfer-Encoding: chunked\r\n", "HTTP/1.0 200 OK"));
  EXPECT_EQ(p.error, HeadError::kBad);
  EXPECT_EQ(p.head.bad_reason, BadReason::kTransferEncoding);
}

TEST(HttpResponse, CodingLineCanAlwaysBeCut) {
  std::string fields;
  for (int i = 0; i < kCutsMax - 1; ++i) fields += "TE: a\r\nA: 1\r\n";
  auto p = ParseResponse(Ok(fields + "Transfer-Encoding: chunked\r\n"));
  ASSERT_EQ(p.error, HeadError::kNone);
  EXPECT_EQ(p.At(p.head.coding_line), "Transfer-Encoding: chunked\r\n");
  ASSERT_TRUE(AddCut(p.head.cuts, p.head.coding_line));
  EXPECT_EQ(p.Forwarded().find("chunked"), std::string::npos);
  EXPECT_FALSE(AddCut(p.head.cuts, Span{0, 1}));
  EXPECT_EQ(ParseResponse(Ok(fields + "TE: a\r\n")).head.bad_reason, BadReason::kCuts);
}

TEST(HttpResponse, AddedCutsStayInOrderAndMerge) {
  const struct {
    Span line;
    std::string cuts;
  } kCases[] = {{{0, 5}, "0+5 10+10 30+10 "}, {{5, 5}, "5+15 30+10 "},
                {{20, 5}, "10+15 30+10 "},    {{22, 3}, "10+10 22+3 30+10 "},
                {{20, 10}, "10+30 "},         {{25, 5}, "10+10 25+15 "},
                {{40, 5}, "10+10 30+15 "},    {{50, 5}, "10+10 30+10 50+5 "}};
  for (const auto& c : kCases) {
    Cuts cuts;
    cuts.at[0] = {10, 10};
    cuts.at[1] = {30, 10};
    cuts.count = 2;
    ASSERT_TRUE(AddCut(cuts, c.line));
    std::string text;
    for (int i = 0; i < cuts.count; ++i) {
      text += std::to_string(cuts.at[i].offset) + "+" + std::to_string(cuts.at[i].size) + " ";
    }
    EXPECT_EQ(text, c.cuts);
  }
}

TEST(HttpResponse, HeadsOverTheLimitAreRefused) {
  const std::string head = Ok("A: b\r\n");
  uint32_t scanned = 0;
  ResponseHead out;
  const auto size = static_cast<uint32_t>(head.size());
  EXPECT_EQ(ParseResponseHead(head.data(), size, size, scanned, out), HeadError::kNone);
  EXPECT_EQ(ParseResponseHead(head.data(), size, size - 1, scanned, out), HeadError::kTooLarge);
}

}  // namespace
}  // namespace ringway::dp::test
