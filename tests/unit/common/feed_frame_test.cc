// Framing: payloads come out whole and in order, however the bytes arrive.
#include "common/api/feed_frame.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace ringway::api {
namespace {

TEST(FeedFrame, LengthIsFourBytesBigEndian) {
  EXPECT_EQ(Frame("abc"), std::string("\0\0\0\3abc", 7));
  EXPECT_EQ(Frame(std::string(0x010203, 'x')).substr(0, 4), std::string("\0\1\2\3", 4));
}

TEST(FeedFrame, PayloadsSurviveAnySplit) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    std::vector<std::string> sent;
    std::string stream;
    for (int i = 0; i < 20; ++i) {
      const size_t size = random() % 4 == 0 ? 0 : random() % 9000;
      sent.emplace_back(size, static_cast<char>('a' + i));
      stream += Frame(sent.back());
    }
    FrameReader reader;
    std::vector<std::string> received;
    for (size_t at = 0; at < stream.size();) {
      const size_t n = std::min<size_t>(1 + random() % 20000, stream.size() - at);
      reader.Append(std::string_view(stream).substr(at, n));
      at += n;
      for (;;) {
        auto payload = reader.Next();
        ASSERT_TRUE(payload.ok()) << payload.status();
        if (!payload->has_value()) break;
        received.push_back(**payload);
      }
    }
    ASSERT_EQ(received, sent);
  }
}

TEST(FeedFrame, OneByteAtATime) {
  FrameReader reader;
  const std::string frame = Frame("hello");
  for (size_t i = 0; i + 1 < frame.size(); ++i) {
    reader.Append(frame.substr(i, 1));
    ASSERT_FALSE(reader.Next()->has_value());
  }
  reader.Append(frame.substr(frame.size() - 1));
  EXPECT_EQ(**reader.Next(), "hello");
}

TEST(FeedFrame, ATooLongFrameIsRefusedBeforeItsBytesArrive) {
  FrameReader reader;
  reader.Append(std::string("\xff\xff\xff\xff", 4));
  EXPECT_EQ(reader.Next().status().code(), absl::StatusCode::kOutOfRange);
}

}  // namespace
}  // namespace ringway::api
