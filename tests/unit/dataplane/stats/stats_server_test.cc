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
    std::vector<WorkerShared*> shared;
    std::vector<WorkerPort> ports;
    for (auto& worker : workers_) {
      worker = std::make_unique<WorkerShared>();
      shared.push_back(worker.get());
      takers_.push_back(std::make_unique<MapTaker>(*worker));
      ports.push_back({worker.get(), [taker = takers_.back().get()] { taker->Wake(); }});
    }
    builder_ = std::make_unique<MapBuilder>(shared);
    publisher_ = std::make_unique<Publisher>(ports);
    applier_ = std::make_unique<Applier>(io_, *builder_, *publisher_);
    collector_ = std::make_unique<Collector>(std::vector<const WorkerShared*>(shared.begin(), shared.end()), *applier_, nullptr);
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
      if (l == nullptr) continue;
      for (const int fd : l->sockets) close(fd);
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
  std::array<std::unique_ptr<WorkerShared>, 2> workers_;
  std::vector<std::unique_ptr<MapTaker>> takers_;
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
  workers_[1]->counters.services[web].requests_total.Add(50);
  OnMain([&] { return collector_->Tick(), 0; });
  const StatsModel model = OnMain([this] { return collector_->Collect(); });
  EXPECT_EQ(model.services[1].name, "web");
  EXPECT_EQ(model.services[1].requests, 50u);
  EXPECT_GT(model.services[1].rate, 0u);
}

TEST_F(StatsServerTest, EjectedInPartIsStillReadyEverywhereIsNot) {
  Apply("u", "p");
  const EndpointHandle a = builder_->current().services[builder_->directory().services.at("web")]->ready[0].handle;
  const auto eject = [&](size_t worker, uint64_t for_us) {
    EndpointCounters& c = workers_[worker]->counters.endpoints[a];
    c.ejected_until_us.Set(MonotonicNowUs() + for_us);
    c.ejection_reason.Set(static_cast<uint64_t>(EjectionReason::kTimeout));
    c.ejections_total.Add();
  };
  const auto endpoint = [&] { return OnMain([this] { return collector_->Collect().services[1].endpoints[0]; }); };
  EXPECT_EQ(endpoint().state, "ready");
  eject(0, 1'000'000'000);
  EXPECT_EQ(endpoint().state, "ready");
  EXPECT_EQ(endpoint().ejected, 1u);
  EXPECT_EQ(endpoint().reason, "kept out by 1 of 2 workers: no response in time");
  eject(1, 3'000'000'000);
  EXPECT_EQ(endpoint().state, "ejected");
  EXPECT_EQ(endpoint().reason, "no response in time");
  EXPECT_EQ(endpoint().ejections, 2u);
  EXPECT_GT(endpoint().ejected_ms, 1'000'000u);
  for (auto& worker : workers_) worker->counters.endpoints[a].ejected_until_us.Set(1);
  EXPECT_EQ(endpoint().state, "ready");
  EXPECT_EQ(endpoint().ejected_ms, 0u);
  EXPECT_EQ(endpoint().ejections, 2u);
}

TEST_F(StatsServerTest, WaitingKeepsItsMaximum) {
  Apply("u", "p");
  const ServiceHandle web = builder_->directory().services.at("web");
  workers_[0]->counters.services[web].waiting.Set(30);
  workers_[1]->counters.services[web].waiting.Set(4);
  OnMain([&] { return collector_->Tick(), 0; });
  workers_[0]->counters.services[web].waiting.Set(0);
  OnMain([&] { return collector_->Tick(), 0; });
  const ServiceStats stats = OnMain([this] { return collector_->Collect().services[1]; });
  EXPECT_EQ(stats.waiting, 4u);
  EXPECT_EQ(stats.waiting_max, 34u);
}

TEST_F(StatsServerTest, OneThatLeavesIsNotReadyAndSaysWhatItFinishes) {
  Apply("u", "p");
  workers_[0]->counters.worker.sessions_open.Set(7);
  OnMain([this] { return applier_->SetLeaving(), 0; });
  EXPECT_EQ(Get("/ready").status, 503);
  EXPECT_EQ(Get("/ready").body, "finishing: 7 sessions are open, a successor takes new ones\n");
}

TEST(CatalogFrom, AgesWhileNobodyAnswersAndIsAbsentBeforeAnyWord) {
  const auto wall = std::chrono::system_clock::now();
  const auto now = std::chrono::steady_clock::now();
  const auto unix_ms = std::chrono::duration_cast<std::chrono::milliseconds>(wall.time_since_epoch()).count();
  FeedStatus feed;
  feed.connected = true;
  EXPECT_FALSE(CatalogFrom(feed, wall, now).known);
  feed.catalog = api::CatalogStatus{"embedded", true, unix_ms - 700, ""};
  feed.catalog_at = now;
  CatalogStats stats = CatalogFrom(feed, wall, now);
  EXPECT_TRUE(stats.known && stats.up);
  EXPECT_EQ(stats.name, "embedded");
  EXPECT_EQ(stats.age_ms, 700u);
  feed.catalog->ok = false;
  feed.catalog->error = "HTTP 500";
  stats = CatalogFrom(feed, wall, now);
  EXPECT_FALSE(stats.up);
  EXPECT_EQ(stats.trouble, "HTTP 500");
  feed.catalog->ok = true;
  // It hangs: connected, and silent.
  stats = CatalogFrom(feed, wall + std::chrono::seconds(6), now + std::chrono::seconds(6));
  EXPECT_FALSE(stats.up);
  EXPECT_THAT(stats.trouble, ::testing::HasSubstr("says nothing"));
  EXPECT_EQ(stats.age_ms, 6700u);
  // It is gone.
  feed.connected = false;
  stats = CatalogFrom(feed, wall + std::chrono::seconds(1), now + std::chrono::seconds(1));
  EXPECT_FALSE(stats.up);
  EXPECT_THAT(stats.trouble, ::testing::HasSubstr("no control plane"));
  EXPECT_EQ(stats.age_ms, 1700u);
  EXPECT_EQ(CatalogFrom(feed, wall - std::chrono::hours(1), now).age_ms, 0u) << "a clock that was set back";
}

}  // namespace
}  // namespace ringway::dp
