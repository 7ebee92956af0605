// What the options make of programs and services together.
#include "sidecar/plan.h"

#include <gmock/gmock.h>

namespace ringway::sidecar {
namespace {

using testing::HasSubstr;

TEST(Plan, TheCommandIsEssentialAndNotRestarted) {
  Options options;
  options.command = {"/usr/bin/sleep", "1"};
  absl::StatusOr<Plan> plan = ReadPlan(options);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(plan->programs[0].essential);
  EXPECT_EQ(plan->programs[0].name, "sleep");
  EXPECT_EQ(plan->programs[0].rules.restart, Restart::kNever);
  EXPECT_TRUE(plan->definitions.services.empty());
}

TEST(Plan, AServiceWithoutCheckGetsATcpCheckOfItsPort) {
  Options options;
  options.command = {"a"};
  options.service_name = "web";
  options.service_port = 8080;
  absl::StatusOr<Plan> plan = ReadPlan(options);
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->definitions.services[0].checks.size(), 1u);
  EXPECT_EQ(plan->definitions.services[0].checks[0].kind, CheckDefinition::Kind::kTcp);
  EXPECT_EQ(plan->definitions.services[0].checks[0].target, "127.0.0.1:8080");
}

TEST(Plan, RefusesNothingToRunAndAConsulAgentAsTheCommand) {
  EXPECT_THAT(std::string(ReadPlan(Options{}).status().message()), HasSubstr("nothing to run"));
  Options options;
  options.command = {"consul", "agent"};
  EXPECT_THAT(std::string(ReadPlan(options).status().message()), HasSubstr("is a Consul agent"));
}

}  // namespace
}  // namespace ringway::sidecar
