// Splitting and expansion of command lines; the cases are those where shlex differs from a plain split.
#include "sidecar/supervise/command_line.h"

#include <gmock/gmock.h>

namespace ringway::sidecar {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Split(std::string_view text) {
  absl::StatusOr<std::vector<std::string>> words = SplitWords(text);
  EXPECT_TRUE(words.ok()) << words.status();
  return words.ok() ? *words : std::vector<std::string>{};
}

TEST(SplitWords, KeepsAShellStringAsOneWord) {
  EXPECT_THAT(Split(R"(/bin/bash -c "source /etc/apache2/envvars && exec /usr/sbin/apache2 -DFOREGROUND")"),
              ElementsAre("/bin/bash", "-c", "source /etc/apache2/envvars && exec /usr/sbin/apache2 -DFOREGROUND"));
}

TEST(SplitWords, QuotesJoinWithTheirNeighbours) {
  EXPECT_THAT(Split("--name='a b'c\"d e\""), ElementsAre("--name=a bcd e"));
}

TEST(SplitWords, AnEmptyQuoteIsAnEmptyWord) { EXPECT_THAT(Split("a '' \"\" b"), ElementsAre("a", "", "", "b")); }

TEST(SplitWords, BackslashesDependOnTheQuotes) {
  EXPECT_THAT(Split(R"(a\ b '\n' "\n" "\"" \')"), ElementsAre("a b", "\\n", "\\n", "\"", "'"));
}

TEST(SplitWords, BlanksOfAnyKindSeparate) {
  EXPECT_THAT(Split("  a\tb\n  c  "), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Split("   "), ElementsAre());
}

TEST(SplitWords, RefusesAnOpenQuoteAndALoneBackslash) {
  EXPECT_THAT(std::string(SplitWords("a 'b").status().message()), HasSubstr("quote is not closed"));
  EXPECT_THAT(std::string(SplitWords("a \\").status().message()), HasSubstr("backslash"));
}

std::optional<std::string> Known(std::string_view name) {
  if (name == "ENV_PORT") return "8080";
  return std::nullopt;
}

TEST(Expand, ReplacesNamesAndPercents) {
  EXPECT_EQ(*Expand("-p %(ENV_PORT)s 100%% %(ENV_PORT)d", Known), "-p 8080 100% 8080");
}

TEST(Expand, NamesWhatIsUnknownOrBroken) {
  EXPECT_THAT(std::string(Expand("%(ENV_NO)s", Known).status().message()), HasSubstr("%(ENV_NO)s is not known"));
  for (const char* broken : {"50%", "%x", "%(ENV_PORT)", "%(ENV_PORT", "%(ENV_PORT)x"}) {
    EXPECT_FALSE(Expand(broken, Known).ok()) << broken;
  }
}

}  // namespace
}  // namespace ringway::sidecar
