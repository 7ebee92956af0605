// The parts of a real Consul as the catalog that need no Consul: answers, the rules of blocking queries, drains, turns. The rest is
// in tests/integration/consul_source, with the real one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <fstream>

#include "controlplane/discovery/blocking_query.h"
#include "controlplane/discovery/consul_answer.h"
#include "controlplane/discovery/consul_drains.h"
#include "controlplane/discovery/consul_source.h"
#include "controlplane/discovery/consul_text.h"
#include "controlplane/discovery/turns.h"
#include "tests/unit/controlplane/loop.h"

namespace ringway::cp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

std::string Entry(const std::string& service, const std::string& checks = "[]") {
  return R"({"Node":{"Node":"n1","Address":"10.0.0.1"},"Service":{)" + service + R"(},"Checks":)" + checks + "}";
}

Instance One(const std::string& service, const std::string& checks = "[]") {
  const auto instances = ParseHealthService("[" + Entry(service, checks) + "]");
  EXPECT_TRUE(instances.ok()) << instances.status();
  if (!instances.ok() || instances->size() != 1) return Instance();
  return (*instances)[0];
}

constexpr char kWeb[] = R"("ID":"web-1","Service":"web","Tags":["a","b"],"Address":"10.0.0.9","Port":80,)"
                        R"("Weights":{"Passing":5,"Warning":2},"CreateIndex":7,"ModifyIndex":9)";

TEST(ConsulAnswer, TakesAnInstanceAsItIs) {
  const Instance instance = One(kWeb);
  EXPECT_EQ(instance.id, "n1/web-1");
  EXPECT_EQ(instance.address, "10.0.0.9");
  EXPECT_EQ(instance.port, 80);
  EXPECT_EQ(instance.weight, 5u);
  EXPECT_EQ(instance.registered_index, 9u);
  EXPECT_THAT(instance.tags, ElementsAre("a", "b"));
  EXPECT_EQ(instance.health, InstanceHealth::kPassing);  // an entry without checks, as just after an agent came back
}

TEST(ConsulAnswer, NullAndMissingAreDefaults) {
  const Instance instance = One(R"("ID":"web-1","Tags":null,"Meta":null,"Address":"","Port":80,"Weights":null)", "null");
  EXPECT_EQ(instance.address, "10.0.0.1");  // the node's
  EXPECT_EQ(instance.weight, 1u);
  EXPECT_EQ(instance.health, InstanceHealth::kPassing);
}

TEST(ConsulAnswer, TheWorstCheckCounts) {
  const std::string checks = R"([{"CheckID":"serfHealth","Status":"passing","Output":"alive"},
      {"CheckID":"a","Status":"warning","Output":"slow\nvery"},{"CheckID":"b","Status":"critical","Output":"dead\nas a"}])";
  const Instance instance = One(kWeb, checks);
  EXPECT_EQ(instance.health, InstanceHealth::kCritical);
  EXPECT_EQ(instance.reason, "dead");
}

TEST(ConsulAnswer, WarningTakesTheWarningWeight) {
  EXPECT_EQ(One(kWeb, R"([{"CheckID":"a","Status":"warning"}])").weight, 2u);
}

TEST(ConsulAnswer, MaintenanceIsToldFromCritical) {
  for (const char* id : {"_service_maintenance:web-1", "_node_maintenance"}) {
    const Instance instance = One(kWeb, std::string(R"([{"CheckID":")") + id + R"(","Status":"critical","Output":"","Notes":"new disk"}])");
    EXPECT_EQ(instance.health, InstanceHealth::kMaintenance) << id;
    EXPECT_EQ(instance.reason, "new disk");
  }
}

TEST(ConsulAnswer, AnInstanceThatCannotBeReachedSaysSo) {
  for (const char* service : {R"("ID":"x","Address":"db.example","Port":80)", R"("ID":"x","Address":"10.0.0.1","Port":70000)", R"("ID":"x","Port":0)"}) {
    const Instance instance = One(service);
    EXPECT_EQ(instance.health, InstanceHealth::kCritical) << service;
    EXPECT_THAT(instance.reason, HasSubstr("cannot be reached"));
  }
}

TEST(ConsulAnswer, GenerationIsTheRegistrationAndItsAddress) {
  const uint64_t first = One(kWeb).generation;
  EXPECT_EQ(first, 2379519487027099063u);  // must be the same in every release: connections are kept by it
  std::string again = kWeb;
  again.replace(again.find("\"ModifyIndex\":9"), 15, "\"ModifyIndex\":99");
  EXPECT_EQ(One(again).generation, first);
  std::string moved = kWeb;
  moved.replace(moved.find("10.0.0.9"), 8, "10.0.0.8");
  EXPECT_NE(One(moved).generation, first);
  std::string anew = kWeb;
  anew.replace(anew.find("\"CreateIndex\":7"), 15, "\"CreateIndex\":8");
  EXPECT_NE(One(anew).generation, first);
}

TEST(ConsulAnswer, SortedById) {
  const auto instances = ParseHealthService("[" + Entry(R"("ID":"b","Port":1)") + "," + Entry(R"("ID":"a","Port":1)") + "," + Entry(R"("ID":"b","Port":2)") + "]");
  ASSERT_TRUE(instances.ok());
  ASSERT_EQ(instances->size(), 2u);
  EXPECT_EQ((*instances)[0].id, "n1/a");
  EXPECT_EQ((*instances)[1].id, "n1/b");
}

TEST(ConsulAnswer, WhatIsNotConsulsIsRefusedWhole) {
  const std::string good = Entry(kWeb);
  for (const std::string& body : {std::string(), std::string("null"), std::string("{}"), std::string("\"text\""), "[" + good, "[" + good + ",", "[" + good + ",7]",
                                  "[" + good + ",{}]", "[" + good + R"(,{"Service":null}])", "[" + good + R"(,{"Service":{"ID":""}}])", std::string("<html>"),
                                  std::string("[\xff\xfe]"), std::string(100000, '[')}) {
    EXPECT_FALSE(ParseHealthService(body).ok()) << body.substr(0, 200);
  }
}

TEST(BlockingIndex, FollowsTheServer) {
  BlockingIndex index;
  EXPECT_EQ(index.next(), 0u);
  EXPECT_TRUE(index.Take(12));
  EXPECT_EQ(index.next(), 12u);
  EXPECT_TRUE(index.Take(12));  // a time-out
  EXPECT_TRUE(index.Take(15));
  EXPECT_FALSE(index.Take(3));  // backwards: from the beginning
  EXPECT_EQ(index.next(), 0u);
  EXPECT_TRUE(index.Take(3));
}

TEST(BlockingIndex, ZeroIsOne) {
  BlockingIndex index;
  EXPECT_TRUE(index.Take(0));
  EXPECT_EQ(index.next(), 1u);
}

TEST(AskBudget, ChangesPassInBursts) {
  AskBudget budget;
  const AskBudget::Time now = AskBudget::Time() + 1h;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(budget.Spend(true, now), 0ms) << i;
  EXPECT_GT(budget.Spend(true, now), 0ms);
  EXPECT_EQ(budget.Spend(true, now + 10s), 0ms);
}

TEST(AskBudget, AnIndexThatSpinsIsAskedTwiceASecond) {
  AskBudget budget;
  AskBudget::Time now = AskBudget::Time() + 1h;
  const AskBudget::Time start = now;
  int asked = 0;
  for (; now < start + 60s; ++asked) now += budget.Spend(false, now);
  EXPECT_LE(asked, 60 * 2 + 5);
  EXPECT_GE(asked, 60);
}

Instance Known(const std::string& id, uint64_t generation) { return MakeInstance(id, generation); }

TEST(ConsulDrains, OutliveTheProcess) {
  TempDir dir;
  {
    ConsulDrains drains(dir.path());
    EXPECT_TRUE(drains.Set("web", Known("n/1", 5), true));
    EXPECT_FALSE(drains.Set("web", Known("n/1", 5), true));
  }
  ConsulDrains drains(dir.path());
  EXPECT_TRUE(drains.Draining("web", Known("n/1", 5)));
  EXPECT_FALSE(drains.Draining("web", Known("n/1", 6)));  // registered anew: another one
  EXPECT_FALSE(drains.Draining("api", Known("n/1", 5)));
  EXPECT_TRUE(drains.Set("web", Known("n/1", 5), false));
  EXPECT_FALSE(ConsulDrains(dir.path()).Draining("web", Known("n/1", 5)));
}

TEST(ConsulDrains, EndWithTheInstanceAndNotWithOneAnswerThatLacksIt) {
  TempDir dir;
  ConsulDrains drains(dir.path());
  drains.Set("web", Known("n/1", 5), true);
  const auto now = std::chrono::steady_clock::now();
  drains.OnAnswer("web", {}, now);
  EXPECT_TRUE(drains.Draining("web", Known("n/1", 5)));
  drains.OnAnswer("web", {Known("n/1", 6)}, now);
  EXPECT_FALSE(drains.Draining("web", Known("n/1", 5)));
}

TEST(ConsulDrains, EndWithAnAbsenceThatLastsAndNotWithOneAfterALongCalm) {
  TempDir dir;
  ConsulDrains drains(dir.path());
  drains.Set("web", Known("n/1", 5), true);
  const auto later = std::chrono::steady_clock::now() + 24h;  // nothing has changed meanwhile
  drains.OnAnswer("web", {}, later);
  drains.OnAnswer("web", {Known("n/1", 5)}, later + 1s);
  EXPECT_TRUE(drains.Draining("web", Known("n/1", 5)));
  drains.OnAnswer("web", {}, later + 1h);
  drains.OnAnswer("web", {Known("n/2", 7)}, later + 1h + ConsulDrains::kGoneFor);
  EXPECT_TRUE(drains.Draining("web", Known("n/1", 5)));
  drains.OnAnswer("web", {}, later + 1h + ConsulDrains::kGoneFor + 1s);
  EXPECT_FALSE(drains.Draining("web", Known("n/1", 5)));
}

TEST(ConsulDrains, ADamagedFileIsNoObstacle) {
  TempDir dir;
  std::ofstream(dir.path() + "/drains.json") << "{\"half\":";
  ConsulDrains drains(dir.path());
  EXPECT_FALSE(drains.Draining("web", Known("n/1", 5)));
  EXPECT_TRUE(drains.Set("web", Known("n/1", 5), true));
}

TEST(Turns, AreGivenInOrder) {
  boost::asio::io_context io(1);
  const auto turns = std::make_shared<Turns>(io.get_executor(), 1);
  std::vector<int> order;
  const auto take = [&](int number) -> boost::asio::awaitable<void> {
    std::shared_ptr<Turns> mine = turns;
    co_await Turns::Take(std::move(mine));
    order.push_back(number);
  };
  for (int i = 0; i < 3; ++i) boost::asio::co_spawn(io, take(i), boost::asio::detached);
  ASSERT_TRUE(RunUntil(io, [&] { return order.size() == 1 && turns->contended(); }));
  turns->GiveBack();
  ASSERT_TRUE(RunUntil(io, [&] { return order.size() == 2; }));
  turns->GiveBack();
  ASSERT_TRUE(RunUntil(io, [&] { return order.size() == 3; }));
  turns->GiveBack();
  EXPECT_THAT(order, ElementsAre(0, 1, 2));
  EXPECT_FALSE(turns->contended());
}

TEST(ConsulText, KeepsTheFirstLineAndNothingButAscii) {
  EXPECT_EQ(FirstLine("one\x01\xff\ntwo"), "one??");
}

TEST(ConsulSource, SaysWhatIsWrongWithItsFiles) {
  TempDir dir;
  boost::asio::io_context io(1);
  ConsulConfig config;
  config.addresses = {"https://127.0.0.1:1"};
  config.tls_ca_file = dir.path() + "/none.pem";
  EXPECT_THAT(std::string(ConsulSource::Open(io, config, dir.path()).status().message()), HasSubstr("none.pem"));
  config.tls_ca_file.clear();
  config.token_file = dir.path() + "/empty";
  std::ofstream(config.token_file) << "\n";
  EXPECT_THAT(std::string(ConsulSource::Open(io, config, dir.path()).status().message()), HasSubstr("wanted an ACL token"));
}

TEST(ConsulSource, WithoutAConsulNothingIsKnown) {
  TempDir dir;
  boost::asio::io_context io(1);
  ConsulConfig config;
  config.addresses = {"http://127.0.0.1:1"};
  const auto source = ConsulSource::Open(io, config, dir.path());
  ASSERT_TRUE(source.ok());
  EXPECT_TRUE((*source)->Instances("web").empty());
  ASSERT_TRUE(RunUntil(io, [&] { return (*source)->State().error.find("cannot connect") != std::string::npos; }));
  EXPECT_FALSE((*source)->Knows("web"));
  EXPECT_FALSE((*source)->State().ok);
  EXPECT_FALSE((*source)->SetDraining("web", "n/1", true));
  EXPECT_FALSE((*source)->LeftByItself("web", "n/1"));
}

}  // namespace
}  // namespace ringway::cp
