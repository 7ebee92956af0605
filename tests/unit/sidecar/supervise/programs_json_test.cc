// The JSON list of programs: what it takes, and that a typing error is an error.
#include <gmock/gmock.h>

#include <csignal>

#include "sidecar/supervise/program_list.h"

namespace ringway::sidecar {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string ErrorOf(std::string_view text) {
  absl::StatusOr<ProgramList> list = ParseProgramsJson("p.json", text);
  return list.ok() ? "accepted" : std::string(list.status().message());
}

TEST(ProgramsJson, TakesWordsOrALine) {
  absl::StatusOr<ProgramList> list = ParseProgramsJson("p.json", R"({"programs": [
    {"name": "fpm", "command": "php-fpm -F", "priority": 1, "stop_timeout": "3s", "stop_signal": "QUIT",
     "environment": {"A": "b"}},
    {"command": ["/usr/sbin/nginx", "-g", "daemon off;"], "essential": true, "restart": "always", "stdout": "none"}]})");
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_THAT(list->programs[0].argv, ElementsAre("php-fpm", "-F"));
  EXPECT_EQ(list->programs[0].stop_timeout.count(), 3000);
  EXPECT_EQ(list->programs[0].stop_signal, SIGQUIT);
  EXPECT_EQ(list->programs[0].environment.at("A"), "b");
  EXPECT_EQ(list->programs[1].name, "nginx");
  EXPECT_TRUE(list->programs[1].essential);
  EXPECT_EQ(list->programs[1].rules.restart, Restart::kAlways);
  EXPECT_EQ(list->programs[1].standard_output.to, Output::To::kNull);
}

TEST(ProgramsJson, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(ErrorOf(R"({"programs": [{"command": "a", "restrat": "always"}]})"),
              HasSubstr("p.json: programs[0].restrat: no such key"));
  EXPECT_THAT(ErrorOf(R"({"programs": [{"command": "a", "restart": "often"}]})"),
              HasSubstr("programs[0].restart: wanted \"always\""));
  EXPECT_THAT(ErrorOf(R"({"programs": [{"name": "a"}]})"), HasSubstr("programs[0].command: wanted a command"));
  EXPECT_THAT(ErrorOf(R"([])"), HasSubstr("wanted {\"programs\""));
  EXPECT_THAT(ErrorOf(R"({"programs": [{"command": "a", "essential": true}, {"command": "b", "essential": true}]})"),
              HasSubstr("programs[1].essential: only one"));
  EXPECT_THAT(ErrorOf("{\n  \"programs\": [,]}"), HasSubstr("p.json:2:16: not valid JSON"));
}

}  // namespace
}  // namespace ringway::sidecar
