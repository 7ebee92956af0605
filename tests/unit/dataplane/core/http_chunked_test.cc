// Chunked bodies: vectors, bounds, any split, and random bodies against a slow reference.
#include "dataplane/core/http_chunked.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/dataplane/core/http_chunked_reference.h"
#include "tests/unit/dataplane/core/http_test_support.h"

namespace ringway::dp::test {
namespace {

using std::string_view_literals::operator""sv;
using Result = ChunkScanner::Result;

// What came of a body handed over in pieces that end at `ends`.
ChunkedOutcome Scan(std::string_view text, const std::vector<size_t>& ends, bool strip) {
  ChunkScanner scanner;
  ChunkedOutcome out;
  size_t from = 0;
  for (const size_t end : ends) {
    Exact piece(text.substr(from, end - from));
    const auto size = static_cast<uint32_t>(piece.size);
    uint32_t consumed = 0;
    uint32_t payload = 0;
    out.result = strip ? scanner.Strip(piece.bytes.get(), size, consumed, payload)
                       : scanner.Scan(piece.bytes.get(), size, consumed);
    out.consumed += consumed;
    out.payload.append(piece.bytes.get(), payload);
    if (out.result != Result::kMore) break;
    EXPECT_EQ(consumed, size);
    from = end;
  }
  return out;
}

ChunkedOutcome Scan(std::string_view text) { return Scan(text, {text.size()}, true); }

void ExpectBadAt(size_t offset, std::string_view text) {
  const ChunkedOutcome out = Scan(text);
  EXPECT_EQ(out.result, Result::kBad) << text;
  EXPECT_EQ(out.consumed, offset) << text;
}

TEST(HttpChunked, ReadsChunksAndLeavesWhatFollows) {
  const std::string body = "5\r\nhello\r\nA\r\n, world!!!\r\n0\r\n\r\n";
  const ChunkedOutcome out = Scan(body + "GET / HTTP/1.1\r\n");
  EXPECT_EQ(out.result, Result::kDone);
  EXPECT_EQ(out.consumed, body.size());
  EXPECT_EQ(out.payload, "hello, world!!!");
}

TEST(HttpChunked, StaysDoneAndStaysBad) {
  for (const auto& [text, result] :
       {std::pair{"0\r\n\r\n"sv, Result::kDone}, {"x"sv, Result::kBad}}) {
    ChunkScanner scanner;
    uint32_t consumed = 0;
    EXPECT_EQ(scanner.Scan(text.data(), static_cast<uint32_t>(text.size()), consumed), result);
    EXPECT_EQ(scanner.Scan("0\r\n\r\n", 5, consumed), result);
    EXPECT_EQ(consumed, 0u);
  }
}

TEST(HttpChunked, SizesThatAreAccepted) {
  EXPECT_EQ(Scan("000\r\n\r\n").result, Result::kDone);
  EXPECT_EQ(Scan("0000000000000003\r\nabc\r\n0\r\n\r\n").payload, "abc");
  EXPECT_EQ(Scan("00a\r\n0123456789\r\n0\r\n\r\n").result, Result::kDone);
  EXPECT_EQ(Scan("4000000000000000\r\nabc").result, Result::kMore);
}

TEST(HttpChunked, SizesThatAreRefused) {
  ExpectBadAt(0, "\r\n");
  ExpectBadAt(0, " 5\r\nhello");
  ExpectBadAt(0, "\t5\r\nhello");
  ExpectBadAt(0, "+5\r\nhello");
  ExpectBadAt(0, "-5\r\nhello");
  ExpectBadAt(0, "g\r\n");
  ExpectBadAt(0, ";a\r\n");
  ExpectBadAt(1, "0x5\r\nhello");
  ExpectBadAt(1, "5 \r\nhello");
  ExpectBadAt(1, "5\t\r\nhello");
  ExpectBadAt(1, "5 ;a\r\nhello");
  ExpectBadAt(1, "5_0\r\n");
  ExpectBadAt(1, "5.0\r\n");
  ExpectBadAt(1, "5\0\r\n"sv);
  ExpectBadAt(1, "5h\r\n");
  ExpectBadAt(16, "00000000000000005\r\nhello");
  ExpectBadAt(15, "4000000000000001\r\n");
  ExpectBadAt(15, "8000000000000000\r\n");
  ExpectBadAt(15, "ffffffffffffffff\r\n");
  ExpectBadAt(16, "10000000000000000\r\n");
}

TEST(HttpChunked, LinesEndWithCrLfOnly) {
  ExpectBadAt(1, "5\nhello\r\n");
  ExpectBadAt(2, "5\rhello\r\n");
  ExpectBadAt(2, "5\r\rhello\r\n");
  ExpectBadAt(8, "5\r\nhello\n0\r\n\r\n");
  ExpectBadAt(9, "5\r\nhello\r0\r\n\r\n");
  ExpectBadAt(8, "5\r\nhellox\r\n");
  ExpectBadAt(8, "5\r\nhello0\r\n\r\n");
  ExpectBadAt(1, "0\n\n");
  ExpectBadAt(3, "0\r\n\n");
  ExpectBadAt(4, "0\r\n\rx");
  ExpectBadAt(7, "0\r\nA: b\n\r\n");
  ExpectBadAt(7, "0\r\nA: \r\r\n\r\n");
}

TEST(HttpChunked, ExtensionsAreSkippedAndBounded) {
  EXPECT_EQ(Scan("5;a=b;c=\"d e\xc3\xa4\";\te\r\nhello\r\n0;x\r\n\r\n").payload, "hello");
  const std::string longest(kChunkExtensionBytesMax - 1, 'a');
  EXPECT_EQ(Scan("1;" + longest + "\r\nx\r\n1;" + longest + "\r\nx\r\n0\r\n\r\n").payload, "xx");
  ExpectBadAt(1 + kChunkExtensionBytesMax, "1;" + longest + "a\r\nx\r\n");
  ExpectBadAt(2, "5;\r\nhello\r\n");
  ExpectBadAt(3, "5;a\nhello\r\n");
  ExpectBadAt(4, "5;a\rb\r\nhello\r\n");
  ExpectBadAt(3, "5;a\0\r\n"sv);
  ExpectBadAt(2, "5;\x01\r\n");
  ExpectBadAt(3, "5;a\x7f\r\n");
}

TEST(HttpChunked, TrailersAreReadToTheEmptyLine) {
  const std::string body = "1\r\nx\r\n0\r\nServer-Timing: a\r\nX:\r\nHosts: y\r\n\r\n";
  EXPECT_EQ(Scan(body).result, Result::kDone);
  EXPECT_EQ(Scan(body + "rest").consumed, body.size());
  EXPECT_EQ(Scan(body).payload, "x");
}

TEST(HttpChunked, TrailersAreCheckedLikeFieldLines) {
  ExpectBadAt(3, "0\r\n A: b\r\n\r\n");
  ExpectBadAt(3, "0\r\n: b\r\n\r\n");
  ExpectBadAt(9, "0\r\nA: b\r\n c\r\n\r\n");
  ExpectBadAt(4, "0\r\nA : b\r\n\r\n");
  ExpectBadAt(4, "0\r\nA\r\n\r\n");
  ExpectBadAt(6, "0\r\nA: \0\r\n\r\n"sv);
  ExpectBadAt(3, "0\r\n\x80: b\r\n\r\n");
}

TEST(HttpChunked, TrailersThatFrameOrRouteAreRefused) {
  for (const std::string name : {"Content-Length", "transfer-encoding", "HOST", "Connection",
                                 "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade",
                                 "Expect", "Authorization", "Content-Encoding", "Content-Range",
                                 "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port"}) {
    ExpectBadAt(3 + name.size(), "0\r\n" + name + ": 1\r\n\r\n");
    ExpectBadAt(9 + name.size(), "0\r\nA: b\r\n" + name + ": 1\r\n\r\n");
    EXPECT_EQ(Scan("0\r\n" + name + "s: 1\r\n\r\n").result, Result::kDone) << name;
    EXPECT_EQ(Scan("0\r\nx" + name + ": 1\r\n\r\n").result, Result::kDone) << name;
    EXPECT_EQ(Scan("0\r\n" + name.substr(0, name.size() - 1) + ": 1\r\n\r\n").result,
              Result::kDone);
  }
}

TEST(HttpChunked, TrailersAreBounded) {
  // "A: " and two line ends beside the value.
  const std::string longest(kTrailerBytesMax - 7, 'a');
  EXPECT_EQ(Scan("0\r\nA: " + longest + "\r\n\r\n").result, Result::kDone);
  EXPECT_EQ(Scan("0\r\nA: " + longest + "a\r\n\r\n").result, Result::kBad);
  std::string many = "0\r\n";
  while (many.size() < kTrailerBytesMax + 20) many += "A: b\r\n";
  EXPECT_EQ(Scan(many).consumed, 3 + kTrailerBytesMax);
}

TEST(HttpChunked, LongDataTakesOneStep) {
  // 4 EiB of data claimed: were data looked at, this would not end.
  ChunkScanner scanner;
  uint32_t consumed = 0;
  ASSERT_EQ(scanner.Scan("4000000000000000\r\n", 18, consumed), Result::kMore);
  for (int i = 0; i < 1000; ++i) {
    // The scanner must not read data: there is none behind this pointer.
    ASSERT_EQ(scanner.Scan(nullptr, 1u << 31, consumed), Result::kMore);
    ASSERT_EQ(consumed, 1u << 31);
  }
}

TEST(HttpChunked, ReadsTheSameWhereverItIsSplit) {
  for (const std::string_view text :
       {"5\r\nhello\r\nA;a=b\r\n0123456789\r\n0\r\nA: b\r\nC: d\r\n\r\nrest"sv, "5\r\nhello\n"sv,
        "0\r\nContent-Length: 5\r\n\r\n"sv, "00000000000000001\r\n"sv, "3;a\r\nabc\r\n0\r\n X"sv}) {
    const ChunkedOutcome whole = Scan(text);
    for (size_t a = 0; a <= text.size(); ++a) {
      for (size_t b = a; b <= text.size(); ++b) {
        ASSERT_EQ(Scan(text, {a, b, text.size()}, true), whole) << text << a << "," << b;
      }
    }
  }
}

// A body of random chunks; in every second one a byte is changed, left out or doubled.
std::string RandomBody(std::mt19937& random) {
  static constexpr std::string_view kBytes = "0123456789aAfFgG;: \t\r\n\r\n\0\x7f\x80xA=\"-"sv;
  const auto pick = [&](size_t below) { return static_cast<size_t>(random()) % below; };
  std::string out;
  for (size_t chunks = pick(4); chunks != 0; --chunks) {
    const size_t size = 1 + pick(40);
    char digits[24];
    std::snprintf(digits, sizeof digits, pick(2) != 0 ? "%zx" : "%03zX", size);
    out += std::string(digits) + (pick(4) == 0 ? ";e=\"v\"" : "") + "\r\n";
    for (size_t i = 0; i < size; ++i) out += kBytes[pick(kBytes.size())];
    out += "\r\n";
  }
  out += "0\r\n";
  if (pick(2) != 0) out += "Trailer-A: b\r\n";
  if (pick(8) == 0) out += "content-length: 1\r\n";
  out += "\r\n";
  if (pick(2) != 0) out += "next";
  const size_t at = pick(out.size());
  switch (pick(6)) {
    case 0:
      out[at] = kBytes[pick(kBytes.size())];
      break;
    case 1:
      out.erase(at, 1);
      break;
    case 2:
      out.insert(at, 1, kBytes[pick(kBytes.size())]);
      break;
    default:
      break;
  }
  return out;
}

TEST(HttpChunked, AgreesWithTheReferenceOnRandomBodies) {
  std::mt19937 random(20261122);
  int done = 0;
  int bad = 0;
  for (int round = 0; round < 20000; ++round) {
    const std::string text = RandomBody(random);
    const ChunkedOutcome expected = ReferenceChunked(text);
    done += expected.result == Result::kDone;
    bad += expected.result == Result::kBad;
    std::vector<size_t> ends;
    for (size_t at = 0; at < text.size();) {
      at = std::min(text.size(), at + 1 + random() % 50);
      ends.push_back(at);
    }
    const ChunkedOutcome stripped = Scan(text, ends, true);
    ASSERT_EQ(stripped, expected) << "round " << round << ": " << text;
    const ChunkedOutcome scanned = Scan(text, ends, false);
    ASSERT_EQ(scanned.result, expected.result) << text;
    ASSERT_EQ(scanned.consumed, expected.consumed) << text;
  }
  EXPECT_GT(done, 5000);  // or the bodies above prove little
  EXPECT_GT(bad, 3000);
}

}  // namespace
}  // namespace ringway::dp::test
