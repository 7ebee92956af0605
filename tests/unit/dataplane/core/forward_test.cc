// ForwardRequest and ForwardResponse: the slices, put together, are what the next hop must get.
#include "dataplane/core/forward.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/unit/dataplane/core/http_test_support.h"

namespace ringway::dp {
namespace {

std::string Join(const std::array<Slice, kSlicesMax>& slices, uint32_t count) {
  EXPECT_LE(count, kSlicesMax);
  std::string out;
  for (uint32_t i = 0; i < count; ++i) {
    EXPECT_GT(slices[i].size, 0u);
    out.append(slices[i].data, slices[i].size);
  }
  return out;
}

std::string Request(std::string text, std::string_view inserted = "", uint32_t body = 0) {
  RequestHead head;
  uint32_t scanned = 0;
  const RequestRules rules{{16384, 8000}, false, true};
  EXPECT_EQ(ParseRequestHead(text.data(), static_cast<uint32_t>(text.size()), rules, scanned, head), HeadError::kNone) << text;
  std::array<Slice, kSlicesMax> slices;
  return Join(slices, ForwardRequest(text.data(), head, inserted, body, slices.data()));
}

std::string Response(std::string text, std::string_view inserted = "", uint32_t body = 0) {
  ResponseHead head;
  uint32_t scanned = 0;
  EXPECT_EQ(ParseResponseHead(text.data(), static_cast<uint32_t>(text.size()), 16384, scanned, head), HeadError::kNone) << text;
  std::array<Slice, kSlicesMax> slices;
  return Join(slices, ForwardResponse(text.data(), head, inserted, body, slices.data()));
}

TEST(ForwardRequest, InsertsBeforeTheBlankLineAndTakesBodyAlong) {
  EXPECT_EQ(Request("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET", "X: y\r\n", 3),
            "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nX: y\r\n\r\nabc");
}

TEST(ForwardRequest, CutsHopByHopLinesAndSpoofedForwarding) {
  EXPECT_EQ(Request("GET /a HTTP/1.1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nHost: h\r\nKeep-Alive: 5\r\n"
                    "X-Forwarded-For: 6.6.6.6\r\nTE: trailers\r\n\r\n"),
            "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
}

TEST(ForwardRequest, LeadingEmptyLineStaysBehind) {
  EXPECT_EQ(Request("\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n"), "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
}

TEST(ForwardRequest, AbsoluteFormBecomesOriginForm) {
  EXPECT_EQ(Request("GET http://h/a?b HTTP/1.1\r\nHost: h\r\n\r\n"), "GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(Request("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n"), "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(Request("GET http://h?b HTTP/1.1\r\nHost: h\r\n\r\n"), "GET /?b HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(Request("OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n"), "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
}

TEST(ForwardRequest, SpeaksItsOwnVersion) {
  EXPECT_EQ(Request("GET /a HTTP/1.0\r\nHost: h\r\n\r\n"), "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(Request("GET /a HTTP/1.0\r\n\r\n"), "GET /a HTTP/1.0\r\n\r\n");  // 1.1 would need a Host
}

TEST(ForwardRequest, OneCutLeavesOneSliceAndASecondCallSaysTheSame) {
  std::string text = "\r\nGET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nAccept: */*\r\n\r\n";
  RequestHead head;
  uint32_t scanned = 0;
  const RequestRules rules{{16384, 8000}, false, true};
  ASSERT_EQ(ParseRequestHead(text.data(), static_cast<uint32_t>(text.size()), rules, scanned, head), HeadError::kNone);
  std::array<Slice, kSlicesMax> slices;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const uint32_t count = ForwardRequest(text.data(), head, "", 0, slices.data());
    EXPECT_EQ(count, 1u);
    EXPECT_EQ(Join(slices, count), "GET /a HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n");
  }
}

TEST(ForwardRequest, WhatStandsFarBeforeACutIsNotMoved) {
  const std::string far = "A: " + std::string(600, 'a') + "\r\n";
  std::string text = "GET /a HTTP/1.1\r\nHost: h\r\n" + far + "Connection: keep-alive\r\nB: 1\r\n\r\n";
  RequestHead head;
  uint32_t scanned = 0;
  const RequestRules rules{{16384, 8000}, false, true};
  ASSERT_EQ(ParseRequestHead(text.data(), static_cast<uint32_t>(text.size()), rules, scanned, head), HeadError::kNone);
  std::array<Slice, kSlicesMax> slices;
  const uint32_t count = ForwardRequest(text.data(), head, "", 0, slices.data());
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(slices[0].data, text.data());
  EXPECT_EQ(Join(slices, count), "GET /a HTTP/1.1\r\nHost: h\r\n" + far + "B: 1\r\n\r\n");
}

TEST(ForwardResponse, CutsInsertsAndSpeaksItsOwnVersion) {
  EXPECT_EQ(Response("HTTP/1.0 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 2\r\nKeep-Alive: 3\r\n\r\nabXX",
                     "Connection: close\r\n", 2),
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab");
}

}  // namespace
}  // namespace ringway::dp
