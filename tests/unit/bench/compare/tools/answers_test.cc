// What the origin sends, read by what the load generator reads it with.
#include "bench/compare/tools/answers.h"

#include <gtest/gtest.h>

#include <string>

#include "bench/compare/tools/response_reader.h"

namespace ringway::bench {
namespace {

std::string Bytes(const BuiltAnswer& answer) {
  std::string bytes;
  for (const iovec& part : answer.parts) bytes.append(static_cast<const char*>(part.iov_base), part.iov_len);
  return bytes;
}

TEST(Answers, EverySizeIsWhatTheReaderWants) {
  Answers answers;
  for (const AnswerKind kind : {AnswerKind::kLength, AnswerKind::kChunked}) {
    for (const uint64_t size : {0u, 1u, 200u, 16383u, 16384u, 16385u, 65536u, 65537u, 1048576u, 3145729u}) {
      std::string bytes = Bytes(*answers.Get({kind, false, true, size}));
      HeadCache heads;
      ResponseReader reader;
      reader.Start(size);
      EXPECT_EQ(reader.Take(heads, bytes.data(), static_cast<uint32_t>(bytes.size())), ResponseReader::Result::kDone) << size;
      EXPECT_TRUE(reader.status_ok());
      EXPECT_TRUE(reader.length_ok()) << size;
      EXPECT_TRUE(reader.keep_alive());
    }
  }
}

TEST(Answers, SmallOnesAreOnePiece) {
  Answers answers;
  EXPECT_EQ(answers.Get({AnswerKind::kLength, false, true, 200})->parts.size(), 1u);
  EXPECT_EQ(answers.Get({AnswerKind::kLength, false, true, 65536})->parts.size(), 1u);
  EXPECT_EQ(answers.Get({AnswerKind::kChunked, false, true, 200})->parts.size(), 1u);
}

TEST(Answers, TheSameIsBuiltOnce) {
  Answers answers;
  const BuiltAnswer* first = answers.Get({AnswerKind::kLength, false, true, 7});
  EXPECT_NE(answers.Get({AnswerKind::kLength, true, true, 7}), first);
  EXPECT_EQ(answers.Get({AnswerKind::kLength, false, true, 7}), first);
}

TEST(Answers, HeadAndRefusalsHaveNoBody) {
  Answers answers;
  EXPECT_TRUE(Bytes(*answers.Get({AnswerKind::kLength, false, false, 100000})).ends_with("Content-Length: 100000\r\n\r\n"));
  EXPECT_TRUE(Bytes(*answers.Get({AnswerKind::kChunked, false, false, 100000})).ends_with("chunked\r\n\r\n"));
  EXPECT_TRUE(Bytes(*answers.Get({AnswerKind::kNotFound, false, true, 0})).starts_with("HTTP/1.1 404 "));
  const std::string refused = Bytes(*answers.Get({AnswerKind::kNotUnderstood, true, true, 0}));
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(refused.ends_with("Connection: close\r\n\r\n"));
}

}  // namespace
}  // namespace ringway::bench
