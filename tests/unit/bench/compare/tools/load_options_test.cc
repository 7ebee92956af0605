#include "bench/compare/tools/load_options.h"

#include <gtest/gtest.h>

#include "bench/compare/tools/request_head.h"

namespace ringway::bench {
namespace {

TEST(LoadOptions, RequestsAreWhatTheOriginUnderstands) {
  for (const bool browser : {false, true}) {
    for (const bool close : {false, true}) {
      const std::string request = BuildRequest("127.0.0.1:80", "/b/9", browser, 0, close);
      const OriginRequest read = ParseRequest(request);
      EXPECT_EQ(read.head_size, request.size());
      EXPECT_EQ(read.answer, (Answer{AnswerKind::kLength, close, true, 9}));
    }
  }
  const std::string post = BuildRequest("127.0.0.1:80", "/", true, 1000, false);
  EXPECT_EQ(ParseRequest(post).head_size + 1000, post.size());
  EXPECT_EQ(ParseRequest(post).body_size, 1000u);
}

TEST(LoadOptions, HeadsHaveTheSizesTheDocumentsSay) {
  EXPECT_EQ(BuildRequest("127.0.0.1:9000", "/b/200", false, 0, false).size(), 82u);
  EXPECT_EQ(BuildRequest("127.0.0.1:9000", "/b/200", true, 0, false).size(), 655u);
}

TEST(LoadOptions, ThePathSaysHowLongTheAnswerMustBe) {
  EXPECT_EQ(BodyBytesOf("/b/200"), 200u);
  EXPECT_EQ(BodyBytesOf("/chunked/0"), 0u);
  EXPECT_EQ(BodyBytesOf("/close/7"), 7u);
  for (const char* path : {"/", "/b/", "/b/x", "/b/1x", "/index.html"}) EXPECT_EQ(BodyBytesOf(path), std::nullopt) << path;
}

}  // namespace
}  // namespace ringway::bench
