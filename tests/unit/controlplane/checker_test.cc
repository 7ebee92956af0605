// Active checks against real HTTP servers and real sockets on loopback.
#include "controlplane/health/checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "common/http/server.h"
#include "controlplane/health/tally.h"
#include "tests/unit/controlplane/loop.h"

namespace ringway::cp {
namespace {

using testing::HasSubstr;

TEST(Tally, OneFailureIsEnoughBeforeTheFirstSuccess) {
  Tally tally(2, 3);
  EXPECT_TRUE(tally.up());
  EXPECT_TRUE(tally.Count(false));
  EXPECT_FALSE(tally.up());
}

TEST(Tally, FallAndRiseCountResultsInARow) {
  Tally tally(2, 3);
  EXPECT_FALSE(tally.Count(true));
  EXPECT_FALSE(tally.Count(false));
  EXPECT_FALSE(tally.Count(false));
  EXPECT_FALSE(tally.Count(true)) << "begins anew";
  EXPECT_FALSE(tally.Count(false));
  EXPECT_FALSE(tally.Count(false));
  EXPECT_TRUE(tally.Count(false));
  EXPECT_FALSE(tally.up());
  EXPECT_FALSE(tally.Count(true));
  EXPECT_FALSE(tally.Count(false));
  EXPECT_FALSE(tally.Count(true));
  EXPECT_TRUE(tally.Count(true));
  EXPECT_TRUE(tally.up());
}

class CheckerTest : public testing::Test {
 protected:
  CheckerTest() {
    http::ServerOptions options;
    options.name = "web";
    auto server = http::Server::Listen(io_, "127.0.0.1:0", options, [this](const http::Request& request, const http::Peer&) -> boost::asio::awaitable<http::Response> {
      seen_ = std::string(request.method_string()) + " " + std::string(request.target()) + " " + std::string(request["Host"]);
      ++requests_;
      http::Response response = http::MakeResponse(request, static_cast<boost::beast::http::status>(status_), "text/plain", "body\n");
      co_return response;
    });
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
    check_.interval_ms = 100;
    check_.timeout_ms = 100;
    checker_.OnChange([this](const std::string& service) { changed_.push_back(service); });
  }
  CheckTarget Target(uint64_t generation = 1) { return {"n/a", generation, "127.0.0.1", server_->port()}; }
  bool Up() { return checker_.Failing("web").count("n/a") == 0; }
  std::string Reason() { return checker_.Failing("web").at("n/a").reason; }

  boost::asio::io_context io_;
  std::unique_ptr<http::Server> server_;
  int status_ = 200;
  int requests_ = 0;
  std::string seen_;
  HealthCheck check_;
  Checker checker_{io_};
  std::vector<std::string> changed_;
};

TEST_F(CheckerTest, OurOwnLackOfFilesSaysNothingAboutTheEndpoint) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest = dup(0);
  close(lowest);
  const rlimit none_left{static_cast<rlim_t>(lowest), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none_left), 0);
  HealthCheck tcp = check_;
  tcp.type = HealthCheck::Type::kTcp;
  checker_.SetTargets("web", check_, {Target()});
  checker_.SetTargets("db", tcp, {Target()});
  const bool checked = RunUntil(io_, [&] { return checker_.checks_total() >= 2; });
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(checked);
  EXPECT_EQ(requests_, 0) << "the check could be made";
  EXPECT_TRUE(Up());
  EXPECT_TRUE(checker_.Failing("db").empty());
}

TEST_F(CheckerTest, AsksWhatTheDemosHttpchkAsks) {
  checker_.SetTargets("web", check_, {Target()});
  EXPECT_TRUE(Up()) << "new endpoints start up";
  ASSERT_TRUE(RunUntil(io_, [&] { return checker_.checks_total() == 1; }));
  EXPECT_EQ(seen_, "HEAD / localhost");
  EXPECT_TRUE(Up());
  EXPECT_TRUE(changed_.empty());
}

TEST_F(CheckerTest, GoesDownAndUpByStatusAndSaysWhy) {
  checker_.SetTargets("web", check_, {Target()});
  ASSERT_TRUE(RunUntil(io_, [&] { return requests_ >= 1 && checker_.checks_total() >= 1; }));
  status_ = 503;
  ASSERT_TRUE(RunUntil(io_, [&] { return !Up(); }));
  EXPECT_GE(requests_, 4) << "fall is 3";
  EXPECT_EQ(Reason(), "HEAD / answered 503, wanted 2xx,3xx");
  EXPECT_EQ(changed_, std::vector<std::string>{"web"});
  status_ = 302;
  ASSERT_TRUE(RunUntil(io_, [&] { return Up(); }));
}

TEST_F(CheckerTest, AnotherGenerationStartsAnewAndTheOldVerdictDoesNotStick) {
  status_ = 500;
  checker_.SetTargets("web", check_, {Target(1)});
  ASSERT_TRUE(RunUntil(io_, [&] { return !Up(); }));
  status_ = 200;
  checker_.SetTargets("web", check_, {Target(2)});
  EXPECT_TRUE(Up());
  EXPECT_EQ(checker_.targets(), 1u);
}

TEST_F(CheckerTest, AReloadKeepsTheVerdict) {
  status_ = 500;
  checker_.SetTargets("web", check_, {Target()});
  ASSERT_TRUE(RunUntil(io_, [&] { return !Up(); }));
  check_.expect_status = {{500, 500}};
  check_.rise = 1;
  checker_.SetTargets("web", check_, {Target()});
  EXPECT_FALSE(Up());
  ASSERT_TRUE(RunUntil(io_, [&] { return Up(); })) << "and the new settings count";
}

TEST_F(CheckerTest, NothingIsCheckedAfterTheCheckIsTakenAway) {
  status_ = 500;
  checker_.SetTargets("web", check_, {Target()});
  ASSERT_TRUE(RunUntil(io_, [&] { return !Up(); }));
  checker_.SetTargets("web", std::nullopt, {Target()});
  EXPECT_TRUE(Up());
  EXPECT_EQ(checker_.targets(), 0u);
}

TEST_F(CheckerTest, TcpChecksTellListeningFromRefusing) {
  check_.type = HealthCheck::Type::kTcp;
  boost::asio::ip::tcp::acceptor closed(io_, {boost::asio::ip::make_address("127.0.0.1"), 0});
  const uint16_t free_port = closed.local_endpoint().port();
  closed.close();
  checker_.SetTargets("web", check_, {Target(), {"n/dead", 1, "127.0.0.1", free_port}});
  ASSERT_TRUE(RunUntil(io_, [&] { return checker_.checks_total() >= 2 && checker_.Failing("web").count("n/dead") != 0; }));
  EXPECT_TRUE(Up());
  EXPECT_THAT(checker_.Failing("web").at("n/dead").reason, HasSubstr("Connection refused"));
}

TEST_F(CheckerTest, ASilentEndpointTimesOut) {
  boost::asio::ip::tcp::acceptor silent(io_, {boost::asio::ip::make_address("127.0.0.1"), 0});
  checker_.SetTargets("web", check_, {{"n/a", 1, "127.0.0.1", silent.local_endpoint().port()}});
  ASSERT_TRUE(RunUntil(io_, [&] { return !Up(); }));
  EXPECT_NE(Reason(), "");
}

TEST_F(CheckerTest, NoMoreChecksRunAtOnceThanAllowed) {
  Checker bounded(io_, 3);
  std::vector<CheckTarget> targets;
  for (int i = 0; i < 40; ++i) targets.push_back({"n/" + std::to_string(i), 1, "127.0.0.1", server_->port()});
  bounded.SetTargets("web", check_, targets);
  ASSERT_TRUE(RunUntil(io_, [&] { return bounded.checks_total() >= 40; }));
  EXPECT_EQ(bounded.running_peak(), 3u);
  bounded.SetTargets("web", check_, {targets[0]});
  const uint64_t before = bounded.checks_total();
  ASSERT_TRUE(RunUntil(io_, [&] { return bounded.checks_total() >= before + 3; })) << "turns are given back by those that stopped";
}

}  // namespace
}  // namespace ringway::cp
