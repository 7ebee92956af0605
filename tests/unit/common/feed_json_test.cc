// Codec of the feed's messages: what is written comes back, what is wrong is named with its path.
#include "common/api/feed_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/common/feed_samples.h"

namespace ringway::api {
namespace {

using ::testing::HasSubstr;

template <typename T>
void ExpectRoundTrip(const T& message) {
  const std::string text = EncodeMessage(message);
  const absl::StatusOr<Message> decoded = DecodeMessage(text);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ASSERT_TRUE(std::holds_alternative<T>(*decoded)) << text;
  EXPECT_EQ(std::get<T>(*decoded), message) << text;
}

TEST(FeedJson, EveryMessageComesBackAsItWas) {
  ExpectRoundTrip(Hello{2, 4711, 8, "e", 99});
  ExpectRoundTrip(SampleSnapshot());
  ExpectRoundTrip(Delta{"e", 3, 4, {{"web", {SampleEndpoint("x")}, {"y", "z"}}}});
  ExpectRoundTrip(Ack{UINT64_MAX});
  ExpectRoundTrip(Ack{3, true});
  ExpectRoundTrip(Refuse{5, "cannot bind 0.0.0.0:80"});
  ExpectRoundTrip(Report{6, {{"web", "a/1", 7, 8}}});
}

TEST(FeedJson, DefaultsComeBackAsTheyWere) {
  ExpectRoundTrip(Snapshot{});
  ExpectRoundTrip(Delta{});
  ExpectRoundTrip(Report{});
}

TEST(FeedJson, MissingKeysTakeDefaultsAndUnknownKeysAreIgnored) {
  const auto decoded = DecodeMessage(
      R"({"type":"snapshot","version":3,"from_the_future":{},"services":[{"name":"web","color":1}]})");
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  Snapshot expected;
  expected.version = 3;
  expected.services.resize(1);
  expected.services[0].name = "web";
  EXPECT_EQ(std::get<Snapshot>(*decoded), expected);
}

struct Wrong {
  const char* json;
  const char* message;
};

class FeedJsonErrors : public ::testing::TestWithParam<Wrong> {};

TEST_P(FeedJsonErrors, NameThePathAndWhatWasWanted) {
  const auto decoded = DecodeMessage(GetParam().json);
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(decoded.status().message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, FeedJsonErrors,
    ::testing::Values(
        Wrong{"", "not JSON"}, Wrong{"[]", "wanted an object, got an array"},
        Wrong{"{}", "type: wanted a string"}, Wrong{R"({"type":"salute"})", "got \"salute\""},
        Wrong{R"({"type":"ack","version":-1})", "version: wanted a whole number from 0"},
        Wrong{R"({"type":"ack","version":1.5})", "got 1.5E0"},
        Wrong{R"({"type":"ack","version":"1"})", "got \"1\""},
        Wrong{R"({"type":"snapshot","services":{}})", "services: wanted an array, got an object"},
        Wrong{R"({"type":"snapshot","services":[{},{"endpoints":[{"port":65536}]}]})",
              "services[1].endpoints[0].port: wanted a whole number from 0 to 65535, got 65536"},
        Wrong{R"({"type":"snapshot","services":[{"balance":"luck"}]})",
              "services[0].balance: wanted one of round_robin, least_requests, random_of_two, least_latency, got "
              "\"luck\""},
        Wrong{R"({"type":"snapshot","listeners":[{"trusted_proxies":["a",7]}]})",
              "listeners[0].trusted_proxies[1]: wanted a string, got 7"},
        Wrong{R"({"type":"snapshot","stats":null})", "stats: wanted an object, got null"}));

}  // namespace
}  // namespace ringway::api
