// Packet delivery's limits in the log: said when one is reached, once a minute while it lasts, and when a minute was without.
#include "dataplane/kernel/packet_limit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ringway::dp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

class PacketLimitLogTest : public testing::Test {
 protected:
  PacketLimitLogTest() { limits_.services = {{"db", {.refused = 7, .ready = true}}, {"web", {.refused = 9, .ready = true}}}; }
  std::vector<std::string> At(std::chrono::seconds after) { return log_.Tick(limits_, start_ + after); }

  const PacketLimitLog::Clock::time_point start_ = PacketLimitLog::Clock::now();
  PacketLimits limits_;
  PacketLimitLog log_;
};

TEST_F(PacketLimitLogTest, SaysWhatBeginsGoesOnAndIsOver) {
  limits_.no_port = 100;
  EXPECT_THAT(At(0s), IsEmpty()) << "of a process before this one";
  limits_.no_port += 5;
  limits_.services["db"].refused += 5;
  EXPECT_THAT(At(1s), ElementsAre(AllOf(HasSubstr("no port is free"), HasSubstr("of db: new connections are refused"))));
  EXPECT_THAT(log_.trouble(), HasSubstr("no port is free"));
  for (int second = 2; second < 61; ++second) {
    ++limits_.no_port;
    EXPECT_THAT(At(std::chrono::seconds(second)), IsEmpty());
  }
  EXPECT_THAT(At(61s), ElementsAre(HasSubstr("still, 59 times in a minute, 64 since it began")));
  EXPECT_FALSE(log_.trouble().empty());
  EXPECT_THAT(At(71s), IsEmpty());
  EXPECT_EQ(log_.trouble(), "") << "nothing for ten seconds";
  EXPECT_THAT(At(120s), IsEmpty());
  EXPECT_THAT(At(121s), ElementsAre(HasSubstr("not any more for a minute, 64 times in all")));
  EXPECT_THAT(At(300s), IsEmpty());
  ++limits_.no_port;
  EXPECT_THAT(At(301s), ElementsAre(HasSubstr("no port is free")));
}

TEST_F(PacketLimitLogTest, AServiceWithoutAnEndpointIsNamed) {
  EXPECT_THAT(At(0s), IsEmpty());
  limits_.services["web"] = {.refused = 12, .ready = false};
  EXPECT_THAT(At(1s), ElementsAre(AllOf(HasSubstr("no endpoint is ready of web:"), Not(HasSubstr("db")))));
  limits_.services["web"] = {.refused = 14, .ready = true};
  limits_.services["new"] = {.refused = 1000, .ready = false};
  EXPECT_THAT(At(62s), ElementsAre(HasSubstr("not any more"))) << "it came back, and what it refused before is no want of ports";
}

TEST_F(PacketLimitLogTest, FullTablesAreSaid) {
  limits_.half_open_max = 1000;
  limits_.half_open_entries = 899;
  EXPECT_THAT(At(0s), IsEmpty());
  EXPECT_THAT(At(1s), IsEmpty());
  limits_.half_open_entries = 900;
  limits_.table_full = 1;
  EXPECT_THAT(At(2s), ElementsAre(HasSubstr("packet.flows_max"), HasSubstr("flood of SYNs")));
  EXPECT_THAT(log_.trouble(), AllOf(HasSubstr("packet.flows_max"), HasSubstr("flood of SYNs")));
  limits_.half_open_entries = 10;
  EXPECT_THAT(At(12s), IsEmpty());
  EXPECT_EQ(log_.trouble(), "");
  limits_.half_open_displaced = 41;
  EXPECT_THAT(At(62s), ElementsAre(HasSubstr("not any more for a minute, 1 times in all"), HasSubstr("flood of SYNs, still, 41 times in a minute")));
}

}  // namespace
}  // namespace ringway::dp
