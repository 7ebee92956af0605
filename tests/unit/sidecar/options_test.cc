// The command line: Consul's one-dash spelling, the "--", and refusals.
#include "sidecar/options.h"

#include <gmock/gmock.h>

namespace ringway::sidecar {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string ErrorOf(const std::vector<std::string>& arguments) {
  absl::StatusOr<ParsedOptions> parsed = ParseOptions(arguments);
  return parsed.ok() ? "accepted" : std::string(parsed.status().message());
}

TEST(Options, OneDashAndTwoAreTheSameAndTheCommandIsUntouched) {
  absl::StatusOr<ParsedOptions> parsed = ParseOptions({"-config-dir", "/a", "--config-dir=/b", "-config-file=c", "--",
                                                       "apache2", "-DFOREGROUND", "--", "x"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->options.config_dirs, ElementsAre("/a", "/b"));
  EXPECT_THAT(parsed->options.config_files, ElementsAre("c"));
  EXPECT_THAT(parsed->options.command, ElementsAre("apache2", "-DFOREGROUND", "--", "x"));
  EXPECT_FALSE(parsed->options.registration.instance.empty());
}

TEST(Options, CatalogNeedsNoScheme) {
  EXPECT_EQ(ParseOptions({"--catalog", "ringway:8501"})->options.catalog.host, "ringway");
  EXPECT_EQ(ParseOptions({"--catalog", "ringway:8501"})->options.catalog.port, 8501);
  EXPECT_EQ(ParseOptions({})->options.catalog.port, 8500);
}

TEST(Options, RefusalsSayWhatWasWanted) {
  EXPECT_THAT(ErrorOf({"apache2"}), HasSubstr("goes behind \"--\""));
  EXPECT_THAT(ErrorOf({"--no-such"}), HasSubstr("--no-such"));
  EXPECT_THAT(ErrorOf({"--ttl", "5"}), HasSubstr("--ttl: wanted a duration"));
  EXPECT_THAT(ErrorOf({"--ttl", "10ms"}), HasSubstr("at least 1s"));
  EXPECT_THAT(ErrorOf({"--stop-signal", "X"}), HasSubstr("--stop-signal: wanted a signal"));
  EXPECT_THAT(ErrorOf({"--port", "80"}), HasSubstr("--service"));
  EXPECT_THAT(ErrorOf({"--port", "70000", "--service", "a"}), HasSubstr("port"));
  EXPECT_THAT(ErrorOf({"--restart", "sometimes"}), HasSubstr("sometimes"));
}

}  // namespace
}  // namespace ringway::sidecar
