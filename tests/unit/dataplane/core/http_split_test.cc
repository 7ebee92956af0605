// Heads that arrive in pieces: the same answer wherever the pieces end, bare line feeds refused at
// once, and linear work.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/dataplane/core/http_test_support.h"

namespace ringway::dp::test {
namespace {

using std::string_view_literals::operator""sv;

const std::vector<std::string>& RequestHeads() {
  static const std::vector<std::string> heads = {
      "GET / HTTP/1.0\r\n\r\n",
      "\r\nGET /index.php?a=b HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: x\r\n\r\nGET / HT",
      "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close, x\r\nX: "
      "y\r\n\r\nabcde",
      "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
      "PUT http://h/a?b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: h\r\nA: b\nC: d\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: h\r\nA: b\rC: d\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n",
      "GET / HTTP/1.1\r\nA: b\r\n\r\n",
      "GET / HTTP/2.0\r\nA: b\r\n\r\n",
      "GET / HTTP/2.0\r\nA: b\nC: d\r\n\r\n",
      "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(17000, 'a') + "\r\n\r\n",
  };
  return heads;
}

const std::vector<std::string>& ResponseHeads() {
  static const std::vector<std::string> heads = {
      "HTTP/1.1 200\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\nServer: x\r\n\r\nabcde",
      "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\x05",
      "HTTP/1.1 200 OK\r\nA: b\n\r\n",
      "HTTP/1.1 200 OK\r\nA: b\r\r\n\r\n",
      "HTTP/1.1 700 OK\r\nA: b\r\n\r\n",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
  };
  return heads;
}

template <typename Head>
void ExpectSameInAnyTwoPieces(const std::string& text) {
  const std::string whole = Describe(ParseText<Head>(text));
  const size_t step = text.size() > 2000 ? 97 : 1;
  for (size_t at = 1; at < text.size(); at += step) {
    const auto p = ParseInPieces<Head>(text, {at, text.size()});
    ASSERT_EQ(Describe(p), whole) << "split at " << at << " of " << text;
  }
}

template <typename Head>
void ExpectSameInRandomPieces(const std::string& text, std::mt19937& random) {
  const std::string whole = Describe(ParseText<Head>(text));
  for (int round = 0; round < 20; ++round) {
    std::vector<size_t> ends;
    for (size_t at = 0; at < text.size();) {
      at = std::min(text.size(), at + 1 + random() % (1 + text.size() / 4));
      ends.push_back(at);
    }
    ASSERT_EQ(Describe(ParseInPieces<Head>(text, ends)), whole) << text;
  }
}

template <typename Head>
void ExpectSameByteByByte(const std::string& text) {
  std::vector<size_t> ends;
  for (size_t at = 0; at <= text.size(); ++at) ends.push_back(at);
  EXPECT_EQ(Describe(ParseInPieces<Head>(text, ends)), Describe(ParseText<Head>(text))) << text;
}

TEST(HttpSplit, RequestsReadTheSameWhereverTheyAreSplit) {
  std::mt19937 random(1);
  for (const std::string& text : RequestHeads()) {
    ExpectSameInAnyTwoPieces<RequestHead>(text);
    ExpectSameInRandomPieces<RequestHead>(text, random);
    if (text.size() < 2000) ExpectSameByteByByte<RequestHead>(text);
  }
}

TEST(HttpSplit, ResponsesReadTheSameWhereverTheyAreSplit) {
  std::mt19937 random(1);
  for (const std::string& text : ResponseHeads()) {
    ExpectSameInAnyTwoPieces<ResponseHead>(text);
    ExpectSameInRandomPieces<ResponseHead>(text, random);
    ExpectSameByteByByte<ResponseHead>(text);
  }
}

TEST(HttpSplit, EveryProperPrefixOfAHeadIsIncomplete) {
  const std::string head =
      "\r\nPOST http://h/a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
  for (size_t size = 0; size < head.size(); ++size) {
    EXPECT_EQ(ParseRequest(head.substr(0, size)).error, HeadError::kIncomplete) << size;
  }
  const std::string response = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\n";
  for (size_t size = 0; size < response.size(); ++size) {
    EXPECT_EQ(ParseResponse(response.substr(0, size)).error, HeadError::kIncomplete) << size;
  }
}

// The piece that brings a bare LF, a bare CR's follower or a NUL is refused itself, not a later
// one.
TEST(HttpSplit, BareLineEndsAreRefusedWithThePieceThatBringsThem) {
  const std::string before = "GET / HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nCookie: abc";
  for (const std::string_view bad : {"\n"sv, "\rx"sv, "\0"sv, "\r\r"sv, "\x7f"sv}) {
    uint32_t scanned = 0;
    RequestHead head;
    const std::string text = before + std::string(bad);
    ASSERT_EQ(Parse(text.data(), before.size() - 2, kRules, scanned, head), HeadError::kIncomplete);
    ASSERT_EQ(Parse(text.data(), before.size(), kRules, scanned, head), HeadError::kIncomplete);
    EXPECT_EQ(Parse(text.data(), text.size(), kRules, scanned, head), HeadError::kBad);
  }
}

// `scanned` is what makes it linear: after each call it covers all that is there, so that the next
// call begins at most three bytes before it.
TEST(HttpSplit, ScannedCoversAllThatHasCome) {
  std::string text = "GET / HTTP/1.1\r\nHost: h\r\nA: ";
  uint32_t scanned = 0;
  RequestHead head;
  while (text.size() < kLimits.head_bytes_max - 10) {
    text += text.size() % 7 == 0 ? "\r\nA: b" : "x";
    ASSERT_EQ(Parse(text.data(), text.size(), kRules, scanned, head), HeadError::kIncomplete);
    ASSERT_EQ(scanned, text.size());
  }
}

}  // namespace
}  // namespace ringway::dp::test
