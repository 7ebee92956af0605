// `ringway status` from the document the admin socket answers with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/cli/commands.h"

namespace ringway::cp {
namespace {

using testing::HasSubstr;

constexpr char kStatus[] = R"({"release":"0.1.0","pid":7,"config":{"file":"/etc/r.json","loaded_at":"2026-01-01T00:00:00Z","warnings":["w1"],"last_refusal":["r1"]},
  "version":12,"catalog":{"type":"consul","name":"consul http://c:8500","in_use":"http://c:8500","data_dir":"/d","ok":false,"age_ms":61500,"error":"connection refused"},"stats":{"bind":"0.0.0.0:9000"},
  "listeners":[{"name":"db","bind":"0.0.0.0:5432","protocol":"tcp","delivery":"packet","routes":[]},{"name":"web","bind":"0.0.0.0:80","protocol":"http","routes":[{"host":"","path":"","service":"web"},{"host":"a.b","path":"/x","service":"api"}]}],
  "services":[{"name":"web","balance":"round_robin","source":"catalog","health_check":"TCP connect every 2s","held":2,"held_for_ms":4250,"kept":1,"endpoints":[
     {"id":"n/a","address":"10.0.0.1:80","weight":1,"state":"ready","reason":"","back_in_ms":null,
        "ejected":[{"pid":8,"workers":1,"workers_of":2,"remaining_ms":4200,"times":3,"reason":"connections fail"}]},
     {"id":"n/b","address":"10.0.0.2:80","weight":1,"state":"down","reason":"flapping: back in 8s","back_in_ms":7900,"ejected":[]}]}],
  "dataplanes":[{"pid":8,"workers":2,"acked":11,"current":false,"in_flight_draining":3,"leaving":true,"ejected":1,"refused":{"version":12,"reason":"port taken"}}]})";

TEST(FormatStatus, ShowsWhatAPersonAsksFor) {
  const auto text = FormatStatus(kStatus);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text, HasSubstr("version 12"));
  EXPECT_THAT(*text, HasSubstr("warning: w1"));
  EXPECT_THAT(*text, HasSubstr("the file now on disk is refused: r1"));
  EXPECT_THAT(*text, HasSubstr("0.0.0.0:5432  tcp       packet\n"));
  EXPECT_THAT(*text, HasSubstr("0.0.0.0:80    http      -         * -> web, a.b/x -> api"));
  EXPECT_THAT(*text, HasSubstr("service web: 1 of 2 ready"));
  EXPECT_THAT(*text, HasSubstr("catalog consul http://c:8500, data in /d"));
  EXPECT_THAT(*text, HasSubstr("catalog http://c:8500 has not answered for 61.5 s: connection refused; endpoints stay as last known"));
  EXPECT_THAT(*text, HasSubstr("held: the catalog took the last ready endpoints away; 2 stay in service for another 4.2 s"));
  EXPECT_THAT(*text, HasSubstr("kept: too many endpoints fail their checks; 1 of these stay in service"));
  EXPECT_THAT(*text, HasSubstr("ready  ejected by dataplane 8 in 1 of 2 workers: connections fail, 4.2 s left, 3 times so far"));
  EXPECT_THAT(*text, HasSubstr("n/b       10.0.0.2:80  1       down   flapping: back in 8s (7.9 s left)"));
  EXPECT_THAT(*text, HasSubstr("leaving version 12"));
  EXPECT_THAT(*text, HasSubstr("version 12: port taken"));
}

TEST(FormatStatus, AnotherReleasesAnswerIsAnErrorNotACrash) {
  EXPECT_FALSE(FormatStatus("{}").ok());
  EXPECT_FALSE(FormatStatus("not json").ok());
}

}  // namespace
}  // namespace ringway::cp
