// The stats server as scrapers, probes and people meet it: authentication, readiness, another address, another password.
#include "dataplane/stats/stats_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <future>

#include "absl/strings/escaping.h"
#include "common/http/client.h"
#include "tests/unit/dataplane/feed/feed_test_support.h"

namespace ringway::dp {
namespace {

class StatsServerTest : public ::testing::Test {
 protected:
  StatsServerTest() {
    worker_ = std::make_unique<WorkerShared>();
    taker_ = std::make_unique<MapTaker>(*worker_);
    builder_ = std::make_unique<MapBuilder>(std::vector<WorkerShared*>{worker_.get()});
    publisher_ = std::make_unique<Publisher>(std::vector<WorkerPort>{{worker_.get(), [this] { taker_->Wake(); }}});
    applier_ = std::make_unique<Applier>(io_, *builder_, *publisher_);
    collector_ = std::make_unique<Collector>(std::vector<const WorkerShared*>{worker_.get()}, *applier_, nullptr);
    stats_ = std::make_unique<StatsServer>(io_, *collector_);
    applier_->OnApplied([this](const Applier::Snapshot& s) { stats_->Configure(s->stats); });
    thread_ = std::thread([this] {
      const auto guard = boost::asio::make_work_guard(io_);
      io_.run();
    });
  }
  ~StatsServerTest() override {
    io_.stop();
    thread_.join();
    for (const auto& l : builder_->current().listeners) {
      if (l != nullptr) close(l->sockets[0]);
    }
  }
  template <typename F>
  auto OnMain(F f) {
    std::packaged_task<decltype(f())()> task(f);
    auto result = task.get_future();
    boost::asio::post(io_, [&] { task(); });
    return result.get();
  }
  void Apply(const std::string& user, const std::string& password) {
    api::Snapshot snapshot = WebSnapshot();
    snapshot.stats = {"127.0.0.1:0", user, password};
    std::promise<absl::Status> applied;
    auto shared = std::make_shared<const api::Snapshot>(snapshot);
    boost::asio::co_spawn(io_, applier_->Apply(shared, "file", std::chrono::system_clock::now()),
                          [&](std::exception_ptr, absl::Status s) { applied.set_value(s); });
    const absl::Status status = applied.get_future().get();
    EXPECT_TRUE(status.ok()) << status;
  }
  http::ClientResponse Get(const std::string& path, const std::string& credentials = "", const std::string& method = "GET") {
    http::Url url;
    url.host = "127.0.0.1";
    url.port = OnMain([this] { return stats_->port(); });
    http::ClientRequest request;
    request.method = method;
    request.target = path;
    if (!credentials.empty()) request.headers = {{"Authorization", "Basic " + absl::Base64Escape(credentials)}};
    const auto response = http::FetchBlocking(url, request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *response : http::ClientResponse{};
  }

  boost::asio::io_context io_{1};
  std::unique_ptr<WorkerShared> worker_;
  std::unique_ptr<MapTaker> taker_;
  std::unique_ptr<MapBuilder> builder_;
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<Applier> applier_;
  std::unique_ptr<Collector> collector_;
  std::unique_ptr<StatsServer> stats_;
  std::thread thread_;
};

TEST_F(StatsServerTest, OnlyProbesAnswerWithoutCredentials) {
  Apply("someone", "secret");
  EXPECT_EQ(Get("/live").status, 200);
  EXPECT_EQ(Get("/ready").status, 200);
  for (const char* path : {"/haproxy_stats", "/haproxy_stats;csv", "/metrics", "/stats.json"}) {
    EXPECT_EQ(Get(path).status, 401) << path;
    EXPECT_NE(Get(path).Header("WWW-Authenticate"), nullptr) << path;
    EXPECT_EQ(Get(path, "someone:wrong").status, 401) << path;
    EXPECT_EQ(Get(path, "admin:admin").status, 401) << path;
    EXPECT_EQ(Get(path, "someone:secret").status, 200) << path;
  }
  EXPECT_EQ(Get("/nothing", "someone:secret").status, 404);
  EXPECT_EQ(Get("/stats.json", "someone:secret", "POST").status, 405);
}

TEST_F(StatsServerTest, ANewPasswordHoldsAtOnce) {
  Apply("someone", "first");
  Apply("someone", "second");
  EXPECT_EQ(Get("/metrics", "someone:first").status, 401);
  EXPECT_EQ(Get("/metrics", "someone:second").status, 200);
}

TEST_F(StatsServerTest, IsNotReadyWhileStopping) {
  Apply("u", "p");
  OnMain([this] { return collector_->SetStopping(), 0; });
  const auto answer = Get("/ready");
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, ::testing::HasSubstr("stopping"));
  EXPECT_EQ(Get("/live").status, 200);
}

TEST_F(StatsServerTest, IsNotReadyBeforeTheFirstSnapshot) {
  EXPECT_THAT(OnMain([this] { return collector_->NotReadyReason(); }), ::testing::HasSubstr("no snapshot yet"));
  Apply("u", "p");
  EXPECT_EQ(OnMain([this] { return collector_->NotReadyReason(); }), "");
}

TEST_F(StatsServerTest, CountersAreAddedUpAndRatesFollowTheTick) {
  Apply("u", "p");
  const ServiceHandle web = builder_->directory().services.at("web");
  OnMain([&] { return collector_->Tick(), 0; });
  worker_->counters.services[web].requests_total.Add(50);
  OnMain([&] { return collector_->Tick(), 0; });
  const StatsModel model = OnMain([this] { return collector_->Collect(); });
  EXPECT_EQ(model.services[1].name, "web");
  EXPECT_EQ(model.services[1].requests, 50u);
  EXPECT_GT(model.services[1].rate, 0u);
}

}  // namespace
}  // namespace ringway::dp
