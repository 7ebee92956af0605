#include "bench/compare/tools/request_head.h"

#include <gtest/gtest.h>

#include <string>

namespace ringway::bench {
namespace {

OriginRequest Parse(const std::string& line, const std::string& fields = "") {
  return ParseRequest(line + "\r\nHost: a\r\n" + fields + "\r\n");
}

TEST(RequestHead, IsIncompleteUntilItsEmptyLine) {
  const std::string all = "GET /b/5 HTTP/1.1\r\nHost: a\r\n\r\n";
  for (size_t size = 0; size < all.size(); ++size) EXPECT_EQ(ParseRequest(all.substr(0, size)).head_size, 0u) << size;
  EXPECT_EQ(ParseRequest(all + "GET").head_size, all.size());
}

TEST(RequestHead, TargetsChooseTheAnswer) {
  EXPECT_EQ(Parse("GET / HTTP/1.1").answer, (Answer{AnswerKind::kLength, false, true, 2}));
  EXPECT_EQ(Parse("GET /b/0 HTTP/1.1").answer, (Answer{AnswerKind::kLength, false, true, 0}));
  EXPECT_EQ(Parse("GET /b/104857600?q=1 HTTP/1.1").answer, (Answer{AnswerKind::kLength, false, true, 104857600}));
  EXPECT_EQ(Parse("GET /chunked/77 HTTP/1.1").answer, (Answer{AnswerKind::kChunked, false, true, 77}));
  EXPECT_EQ(Parse("GET /close/9 HTTP/1.1").answer, (Answer{AnswerKind::kLength, true, true, 9}));
  EXPECT_EQ(Parse("HEAD /b/9 HTTP/1.1").answer, (Answer{AnswerKind::kLength, false, false, 9}));
}

TEST(RequestHead, OtherTargetsAreNotFound) {
  for (const char* target : {"/b/", "/b/x", "/b/5x", "/b/-1", "/b/1000000001", "/other", "/c"}) {
    EXPECT_EQ(Parse("GET " + std::string(target) + " HTTP/1.1").answer.kind, AnswerKind::kNotFound) << target;
  }
}

TEST(RequestHead, ABodyIsAnsweredWithTwoBytesWhateverTheTarget) {
  const OriginRequest request = Parse("POST /b/500 HTTP/1.1", "Content-Length: 1024\r\n");
  EXPECT_EQ(request.body_size, 1024u);
  EXPECT_EQ(request.answer, Answer{});
}

TEST(RequestHead, ConnectionCloseAndOldVersionsClose) {
  EXPECT_TRUE(Parse("GET /b/5 HTTP/1.1", "Connection: close\r\n").answer.close);
  EXPECT_TRUE(Parse("GET /b/5 HTTP/1.0").answer.close);
  EXPECT_FALSE(Parse("GET /b/5 HTTP/1.1", "Connection: keep-alive\r\n").answer.close);
}

TEST(RequestHead, WhatIsNoRequestIsSaidSoAndCloses) {
  for (const char* bytes : {"nonsense\r\n\r\n", "GET /\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\n"}) {
    const OriginRequest request = ParseRequest(bytes);
    EXPECT_EQ(request.head_size, std::string(bytes).size()) << bytes;
    EXPECT_EQ(request.answer.kind, AnswerKind::kNotUnderstood) << bytes;
    EXPECT_TRUE(request.answer.close) << bytes;
  }
}

}  // namespace
}  // namespace ringway::bench
