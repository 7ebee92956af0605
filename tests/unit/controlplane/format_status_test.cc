// `ringway status` from the document the admin socket answers with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/cli/commands.h"

namespace ringway::cp {
namespace {

using testing::HasSubstr;

constexpr char kStatus[] = R"({"release":"0.1.0","pid":7,"config":{"file":"/etc/r.json","loaded_at":"2026-01-01T00:00:00Z","warnings":["w1"],"last_refusal":["r1"]},
  "version":12,"catalog":{"type":"embedded","listen":"0.0.0.0:8500","data_dir":"/d"},"stats":{"bind":"0.0.0.0:9000"},
  "listeners":[{"name":"web","bind":"0.0.0.0:80","protocol":"http","routes":[{"host":"","path":"","service":"web"},{"host":"a.b","path":"/x","service":"api"}]}],
  "services":[{"name":"web","balance":"round_robin","source":"catalog","health_check":"TCP connect every 2s","endpoints":[
     {"id":"n/a","address":"10.0.0.1:80","weight":1,"state":"ready","reason":""},
     {"id":"n/b","address":"10.0.0.2:80","weight":1,"state":"down","reason":"active check failed: refused"}]}],
  "dataplanes":[{"pid":8,"workers":2,"acked":11,"current":false,"in_flight_draining":3,"refused":{"version":12,"reason":"port taken"}}]})";

TEST(FormatStatus, ShowsWhatAPersonAsksFor) {
  const auto text = FormatStatus(kStatus);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text, HasSubstr("version 12"));
  EXPECT_THAT(*text, HasSubstr("warning: w1"));
  EXPECT_THAT(*text, HasSubstr("the file now on disk is refused: r1"));
  EXPECT_THAT(*text, HasSubstr("* -> web, a.b/x -> api"));
  EXPECT_THAT(*text, HasSubstr("service web: 1 of 2 ready"));
  EXPECT_THAT(*text, HasSubstr("n/b       10.0.0.2:80  1       down   active check failed: refused"));
  EXPECT_THAT(*text, HasSubstr("version 12: port taken"));
}

TEST(FormatStatus, AnotherReleasesAnswerIsAnErrorNotACrash) {
  EXPECT_FALSE(FormatStatus("{}").ok());
  EXPECT_FALSE(FormatStatus("not json").ok());
}

}  // namespace
}  // namespace ringway::cp
