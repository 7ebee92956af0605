#include "bench/compare/tools/response_reader.h"

#include <gtest/gtest.h>

#include <string>

namespace ringway::bench {
namespace {

using Result = ResponseReader::Result;

class ResponseReading : public testing::Test {
 protected:
  Result Take(std::string bytes) { return reader_.Take(heads_, bytes.data(), static_cast<uint32_t>(bytes.size())); }

  // The whole response, in pieces of `size`; all but the last one must ask for more.
  Result TakePieces(const std::string& bytes, size_t size) {
    Result result = Result::kMore;
    for (size_t at = 0; at < bytes.size(); at += size) {
      EXPECT_EQ(result, Result::kMore);
      result = Take(bytes.substr(at, size));
    }
    return result;
  }

  HeadCache heads_;
  ResponseReader reader_;
};

const std::string kFive = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const std::string kChunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";

TEST_F(ResponseReading, IsDoneAtTheLastByteHoweverTheBytesCome) {
  for (const std::string& response : {kFive, kChunks}) {
    for (size_t size = 1; size <= response.size(); ++size) {
      reader_.Start(5);
      EXPECT_EQ(TakePieces(response, size), Result::kDone) << size;
      EXPECT_TRUE(reader_.status_ok());
      EXPECT_TRUE(reader_.length_ok());
    }
  }
}

TEST_F(ResponseReading, AnotherLengthThanWantedIsNoticed) {
  for (const std::string& response : {kFive, kChunks}) {
    reader_.Start(6);
    EXPECT_EQ(Take(response), Result::kDone);
    EXPECT_FALSE(reader_.length_ok());
    reader_.Start(std::nullopt);
    EXPECT_EQ(Take(response), Result::kDone);
    EXPECT_TRUE(reader_.length_ok());
  }
}

TEST_F(ResponseReading, AHeadThatDiffersFromTheLastIsReadAnew) {
  reader_.Start(5);
  EXPECT_EQ(Take(kFive), Result::kDone);
  reader_.Start(7);
  EXPECT_EQ(Take("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 7\r\n\r\nseven b"), Result::kDone);
  EXPECT_FALSE(reader_.status_ok());
  EXPECT_FALSE(reader_.keep_alive());
  reader_.Start(5);
  EXPECT_EQ(Take(kFive), Result::kDone);
  EXPECT_TRUE(reader_.status_ok());
  EXPECT_TRUE(reader_.keep_alive());
}

TEST_F(ResponseReading, WhatIsDroppedUnreadCounts) {
  reader_.Start(100000);
  EXPECT_EQ(Take("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabcd"), Result::kMore);
  EXPECT_EQ(reader_.to_skip(), 99996u);
  EXPECT_EQ(reader_.Skip(99995), Result::kMore);
  EXPECT_EQ(reader_.Skip(1), Result::kDone);
  EXPECT_TRUE(reader_.length_ok());
}

TEST_F(ResponseReading, BytesBehindAResponseBelongToNone) {
  reader_.Start(5);
  EXPECT_EQ(Take(kFive + "x"), Result::kMalformed);
  reader_.Start(5);
  EXPECT_EQ(Take(kChunks + "x"), Result::kMalformed);
}

TEST_F(ResponseReading, GarbageIsMalformed) {
  for (const char* bytes : {"hello\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    reader_.Start(std::nullopt);
    EXPECT_EQ(Take(bytes), Result::kMalformed) << bytes;
  }
}

TEST_F(ResponseReading, InterimResponsesComeBeforeTheRealOne) {
  reader_.Start(5);
  EXPECT_EQ(Take("HTTP/1.1 100 Continue\r\n\r\n"), Result::kMore);
  EXPECT_EQ(Take("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + kFive), Result::kDone);
  EXPECT_TRUE(reader_.status_ok());
}

TEST_F(ResponseReading, NoContentIsCompleteWithItsHead) {
  reader_.Start(0);
  EXPECT_EQ(Take("HTTP/1.1 204 No Content\r\n\r\n"), Result::kDone);
}

TEST_F(ResponseReading, WithoutFramingTheCloseEndsIt) {
  reader_.Start(3);
  EXPECT_FALSE(reader_.OnClosed());
  EXPECT_EQ(Take("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"), Result::kMore);
  EXPECT_TRUE(reader_.OnClosed());
  EXPECT_TRUE(reader_.length_ok());
  reader_.Start(5);
  EXPECT_EQ(Take(kFive.substr(0, kFive.size() - 1)), Result::kMore);
  EXPECT_FALSE(reader_.OnClosed());
}

}  // namespace
}  // namespace ringway::bench
