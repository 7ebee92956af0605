// The log's specification and its two formats, as they come out of stderr.
#include "common/log/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace ringway::log {
namespace {

using ::testing::HasSubstr;

std::string Logged(std::string_view spec, const std::string& message) {
  EXPECT_TRUE(Init("prog", spec).ok());
  ::testing::internal::CaptureStderr();
  spdlog::info(message);
  return ::testing::internal::GetCapturedStderr();
}

TEST(Log, TextNamesProgramAndLevel) {
  EXPECT_THAT(Logged("", "hello"), HasSubstr(" info prog: hello\n"));
}

TEST(Log, AMessageIsOneLineWhateverANameInItHolds) {
  EXPECT_THAT(Logged("", "instance a\nerror: forged\x1b[2J\t\xc3\xbc"), HasSubstr("prog: instance a\\nerror: forged\\x1b[2J\\t\xc3\xbc\n"));
}

TEST(Log, LevelsBelowTheLimitAreSilent) { EXPECT_EQ(Logged("warn", "hello"), ""); }

TEST(Log, JsonLinesParseWhateverTheMessage) {
  const std::string line = Logged("debug,json", "quote \" newline \n back\\slash");
  const auto object = boost::json::parse(line).as_object();
  EXPECT_EQ(object.at("message").as_string(), "quote \" newline \n back\\slash");
  EXPECT_EQ(object.at("level").as_string(), "info");
  EXPECT_EQ(object.at("program").as_string(), "prog");
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

TEST(Log, WrongSpecificationsAreRefusedAndTheDefaultHolds) {
  for (const char* spec : {"loud", "info,xml", ",json", "info,", "info,text,more"}) {
    EXPECT_EQ(Init("prog", spec).code(), absl::StatusCode::kInvalidArgument) << spec;
    ::testing::internal::CaptureStderr();
    spdlog::info("still here");
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("still here")) << spec;
  }
}

}  // namespace
}  // namespace ringway::log
