// Positions of values and keys, and the first syntax error.
#include "controlplane/config/position_index.h"

#include <gtest/gtest.h>

#include <string>

namespace ringway::cp {
namespace {

TEST(PositionIndex, FindsValuesAndKeysThroughCommentsAndTrailingCommas) {
  const PositionIndex index(R"({ // a comment with "quotes" and { braces
  "a": 1, /* "b": 2,
  */ "list": [
    "x", { "deep" : true },
  ],
})");
  EXPECT_FALSE(index.syntax_error());
  EXPECT_EQ(index.Key("a"), (Position{2, 3}));
  EXPECT_EQ(index.Value("a"), (Position{2, 8}));
  EXPECT_EQ(index.Key("list"), (Position{3, 6}));
  EXPECT_EQ(index.Value("list[0]"), (Position{4, 5}));
  EXPECT_EQ(index.Key("list[1].deep"), (Position{4, 12}));
  EXPECT_EQ(index.Value("list[1].deep"), (Position{4, 21}));
}

TEST(PositionIndex, AnUnknownPathStandsAtItsNearestKnownParent) {
  const PositionIndex index("{\n \"a\": {\n }\n}");
  EXPECT_EQ(index.Value("a.missing.more[3]"), (Position{2, 7}));
  EXPECT_EQ(index.Value("nothing"), (Position{1, 1}));
}

TEST(PositionIndex, KeysThatAreNoPlainWordsAreQuoted) {
  const PositionIndex index(R"({"services": {"a.b": 1, "a": {"b": 2}}})");
  EXPECT_EQ(JoinPath("services", "a.b"), R"(services["a.b"])");
  EXPECT_EQ(index.Value(R"(services["a.b"])"), (Position{1, 22}));
  EXPECT_EQ(index.Value("services.a.b"), (Position{1, 36}));
}

TEST(PositionIndex, ReportsAKeyGivenTwice) {
  const PositionIndex index("{\"a\": 1,\n \"a\": 2}");
  ASSERT_EQ(index.duplicates().size(), 1u);
  EXPECT_EQ(index.duplicates()[0].position, (Position{2, 2}));
  EXPECT_EQ(index.duplicates()[0].path, "a");
}

struct Case {
  const char* text;
  Position position;
  const char* path;
  const char* wanted;
};

class SyntaxErrors : public testing::TestWithParam<Case> {};

TEST_P(SyntaxErrors, SaysWhereAndWhatWasWanted) {
  const PositionIndex index(GetParam().text);
  ASSERT_TRUE(index.syntax_error());
  EXPECT_EQ(index.syntax_error()->position, GetParam().position) << index.syntax_error()->position.line << ":" << index.syntax_error()->position.column;
  EXPECT_EQ(index.syntax_error()->path, GetParam().path);
  EXPECT_NE(index.syntax_error()->wanted.find(GetParam().wanted), std::string::npos) << index.syntax_error()->wanted;
}

INSTANTIATE_TEST_SUITE_P(
    All, SyntaxErrors,
    testing::Values(Case{"{\n  \"a\" 5 }", {2, 7}, "a", "':'"}, Case{"{ \"a\": 5 \"b\": 6 }", {1, 10}, "", "',' or '}'"},
                    Case{"{ \"a\": [1 2] }", {1, 11}, "a", "',' or ']'"}, Case{"{ a: 5 }", {1, 3}, "", "double quotes"},
                    Case{"{ \"a\": on }", {1, 8}, "a", "'on'"}, Case{"{ \"a\": \"x\n\" }", {1, 8}, "a", "closing quote"},
                    Case{"{ /* ", {1, 3}, "", "'*/'"}, Case{"{} {}", {1, 4}, "", "end of file"}, Case{"", {1, 1}, "", "a value"},
                    Case{"{ \"a\":", {1, 7}, "a", "a value"}, Case{"{ \"a\": , }", {1, 8}, "a", "a value"}));

TEST(PositionIndex, DeepNestingIsAnErrorNotACrash) {
  EXPECT_TRUE(PositionIndex(std::string(100000, '[')).syntax_error());
}

TEST(PositionAt, CountsLinesAndBytes) {
  EXPECT_EQ(PositionAt("ab\ncd", 0), (Position{1, 1}));
  EXPECT_EQ(PositionAt("ab\ncd", 2), (Position{1, 3}));
  EXPECT_EQ(PositionAt("ab\ncd", 4), (Position{2, 2}));
}

}  // namespace
}  // namespace ringway::cp
