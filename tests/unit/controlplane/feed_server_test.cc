// The feed and the drain over real unix sockets, with a dataplane that the test plays.
#include "controlplane/push/feed_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <optional>

#include "common/api/feed_frame.h"
#include "common/api/feed_json.h"
#include "controlplane/config/load.h"
#include "controlplane/drain.h"
#include "controlplane/push/dataplane_link.h"
#include "controlplane/resolver.h"
#include "tests/unit/controlplane/loop.h"

namespace ringway::cp {
namespace {

namespace asio = boost::asio;
using testing::HasSubstr;

// The other end of the socket: keeps its copy of the snapshot as a dataplane does.
class PlayedDataplane {
 public:
  PlayedDataplane(asio::io_context& io, const std::string& run_dir) : socket_(io) {
    socket_.connect(asio::local::stream_protocol::endpoint(run_dir + "/feed.sock"));
    socket_.non_blocking(true);
  }
  void Send(const api::Message& message) { asio::write(socket_, asio::buffer(api::Frame(api::EncodeMessage(message)))); }
  void Hello(const std::string& epoch, uint64_t version) { Send(api::Hello{.protocol = 1, .pid = 42, .workers = 2, .epoch = epoch, .version = version}); }
  // Takes in what has arrived. False once the other side has closed.
  bool Poll() {
    char bytes[65536];
    boost::system::error_code error;
    const size_t count = socket_.read_some(asio::buffer(bytes), error);
    if (error) return error == asio::error::would_block;
    frames_.Append({bytes, count});
    for (;;) {
      const auto payload = frames_.Next();
      EXPECT_TRUE(payload.ok());
      if (!payload->has_value()) return true;
      const auto message = api::DecodeMessage(**payload);
      EXPECT_TRUE(message.ok()) << message.status();
      if (const auto* whole = std::get_if<api::Snapshot>(&*message)) {
        ++snapshots;
        snapshot = *whole;
      } else if (const auto* delta = std::get_if<api::Delta>(&*message)) {
        ++deltas;
        EXPECT_TRUE(api::ApplyDelta(*delta, snapshot).ok());
      } else if (const auto* status = std::get_if<api::CatalogStatus>(&*message)) {
        statuses.push_back(*status);
      }
    }
  }
  void Close() { socket_.close(); }

  api::Snapshot snapshot;
  int snapshots = 0;
  int deltas = 0;
  std::vector<api::CatalogStatus> statuses;

 private:
  asio::local::stream_protocol::socket socket_;
  api::FrameReader frames_;
};

class FeedTest : public testing::Test {
 protected:
  FeedTest() {
    auto feed = FeedServer::Listen(io_, dir_.path(), [this]() -> const api::Snapshot& { return resolver_.snapshot(); });
    EXPECT_TRUE(feed.ok()) << feed.status();
    feed_ = std::move(*feed);
    drain_.emplace(resolver_, *feed_, std::chrono::milliseconds(0));
    resolver_.OnPublish([this](const api::Snapshot&, const api::Delta* delta) { feed_->Publish(delta); });
    catalog_.Set("web", {MakeInstance("n/a"), MakeInstance("n/b", 1, 81)});
    resolver_.Configure(Load(""));
  }
  ~FeedTest() override {
    feed_.reset();
    io_.restart();
    io_.poll();
  }
  static Config Load(const std::string& more) {
    return ParseConfig(R"({"listeners": [{"name": "w", "bind": "0.0.0.0:80", "service": "web"}], "services": {"web": {"health_check": false}})" + more + "}", "f", "")->config;
  }
  uint64_t Version() const { return resolver_.snapshot().version; }
  // One change of the catalog, pushed: another generation of n/a.
  void ChangeOnce() {
    catalog_.Set("web", {MakeInstance("n/a", ++generation_), MakeInstance("n/b", 1, 81)});
    const uint64_t before = Version();
    ASSERT_TRUE(RunUntil(io_, [&] { return Version() > before; }));
  }
  bool Reaches(PlayedDataplane& dataplane, uint64_t version) {
    return RunUntil(io_, [&] { return dataplane.Poll() && dataplane.snapshot.version == version; });
  }
  void StartDrain(const std::string& id, std::chrono::milliseconds wait) {
    asio::co_spawn(io_, [this, id, wait]() -> asio::awaitable<void> {
      const std::string service = "web";
      drained_ = co_await drain_->Drain(service, id, wait);
    }, asio::detached);
  }

  TempDir dir_;
  asio::io_context io_;
  ScriptedSource catalog_{io_};
  Checker checker_{io_};
  FeedState state_{dir_.path()};
  Resolver resolver_{io_, catalog_, checker_, state_};
  std::unique_ptr<FeedServer> feed_;
  std::optional<DrainCoordinator> drain_;
  std::optional<absl::StatusOr<DrainResult>> drained_;
  uint64_t generation_ = 1;

};

TEST_F(FeedTest, AFirstDataplaneGetsTheSnapshotAndThenDeltas) {
  PlayedDataplane dataplane(io_, dir_.path());
  dataplane.Hello("", 0);
  ASSERT_TRUE(Reaches(dataplane, Version()));
  EXPECT_EQ(dataplane.snapshot, resolver_.snapshot());
  EXPECT_EQ(dataplane.deltas, 0);
  ChangeOnce();
  ASSERT_TRUE(Reaches(dataplane, Version()));
  EXPECT_EQ(dataplane.snapshot, resolver_.snapshot());
  EXPECT_EQ(dataplane.snapshots, 1);
  EXPECT_EQ(dataplane.deltas, 1);
}

TEST_F(FeedTest, OneThatComesBackALittleBehindGetsOnlyWhatItMissed) {
  const api::Snapshot old = resolver_.snapshot();
  ChangeOnce();
  ChangeOnce();
  PlayedDataplane dataplane(io_, dir_.path());
  dataplane.snapshot = old;
  dataplane.Hello(old.epoch, old.version);
  ASSERT_TRUE(Reaches(dataplane, Version()));
  EXPECT_EQ(dataplane.snapshot, resolver_.snapshot());
  EXPECT_EQ(dataplane.deltas, 2);
  EXPECT_EQ(dataplane.snapshots, 0);
}

TEST_F(FeedTest, AForeignEpochAndAConfigChangeTravelWhole) {
  PlayedDataplane foreign(io_, dir_.path());
  foreign.Hello("another", Version());
  ASSERT_TRUE(Reaches(foreign, Version()));
  EXPECT_EQ(foreign.snapshots, 1);
  const uint64_t before = Version();
  resolver_.Configure(Load(R"(, "shutdown_timeout": "1s")"));
  ASSERT_TRUE(Reaches(foreign, Version()));
  EXPECT_EQ(foreign.snapshots, 2);
  PlayedDataplane behind(io_, dir_.path());
  behind.Hello(resolver_.snapshot().epoch, before);
  ASSERT_TRUE(Reaches(behind, Version()));
  EXPECT_EQ(behind.snapshots, 1);
}

TEST_F(FeedTest, ASlowDataplaneGetsOneSnapshotInsteadOfTheQueue) {
  PlayedDataplane dataplane(io_, dir_.path());
  dataplane.Hello("", 0);
  ASSERT_TRUE(Reaches(dataplane, Version()));
  // It reads nothing while far more is published than its socket and its queue hold.
  for (int i = 0; i < 3000; ++i) {
    catalog_.Set("web", {MakeInstance("n/a", ++generation_), MakeInstance("n/b", 1, 81)});
    resolver_.Touch("web");
    resolver_.Settle();
    io_.poll();
  }
  ASSERT_TRUE(Reaches(dataplane, Version()));
  EXPECT_EQ(dataplane.snapshot, resolver_.snapshot());
  EXPECT_EQ(feed_->Dataplanes()[0].collapses_total, 1u);
  EXPECT_EQ(dataplane.snapshots, 2);
  EXPECT_LT(dataplane.deltas, 3000);
}

TEST_F(FeedTest, AcksAndRefusalsAreKnown) {
  PlayedDataplane dataplane(io_, dir_.path());
  dataplane.Hello("", 0);
  ASSERT_TRUE(Reaches(dataplane, Version()));
  EXPECT_EQ(feed_->Unanswered(Version()), 1u);
  dataplane.Send(api::Refuse{Version(), "port 80 is taken"});
  ASSERT_TRUE(RunUntil(io_, [&] { return feed_->Unanswered(Version()) == 0; }));
  EXPECT_EQ(feed_->Dataplanes()[0].refused->reason, "port 80 is taken");
  dataplane.Send(api::Ack{Version()});
  ASSERT_TRUE(RunUntil(io_, [&] { return feed_->Dataplanes()[0].acked == Version(); }));
  EXPECT_FALSE(feed_->Dataplanes()[0].refused);
  EXPECT_EQ(feed_->Dataplanes()[0].pid, 42);
}

TEST_F(FeedTest, APartialAckIsNoAnswerBeforeItsRefusalCame) {
  PlayedDataplane dataplane(io_, dir_.path());
  dataplane.Hello("", 0);
  ASSERT_TRUE(Reaches(dataplane, Version()));
  dataplane.Send(api::Ack{Version(), true});
  ASSERT_TRUE(RunUntil(io_, [&] { return feed_->Dataplanes()[0].acked == Version(); }));
  EXPECT_EQ(feed_->Unanswered(Version()), 1u);
  dataplane.Send(api::Refuse{Version(), "port 80 is taken"});
  ASSERT_TRUE(RunUntil(io_, [&] { return feed_->Unanswered(Version()) == 0; }));
  EXPECT_EQ(feed_->Dataplanes()[0].acked, Version());
  EXPECT_EQ(feed_->Dataplanes()[0].refused->reason, "port 80 is taken");
}

TEST_F(FeedTest, GarbageClosesThatConnectionOnly) {
  PlayedDataplane good(io_, dir_.path());
  good.Hello("", 0);
  ASSERT_TRUE(Reaches(good, Version()));
  PlayedDataplane bad(io_, dir_.path());
  bad.Send(api::Ack{1});  // no hello
  ASSERT_TRUE(RunUntil(io_, [&] { return !bad.Poll(); }));
  ChangeOnce();
  EXPECT_TRUE(Reaches(good, Version()));
}

TEST_F(FeedTest, TheSocketIsForItsGroupOnly) {
  struct stat status {};
  ASSERT_EQ(stat((dir_.path() + "/feed.sock").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660u);
}

TEST_F(FeedTest, ASecondControlPlaneIsToldSoAndAStaleSocketIsReplaced) {
  const auto current = [this]() -> const api::Snapshot& { return resolver_.snapshot(); };
  const auto second = FeedServer::Listen(io_, dir_.path(), current);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("held by another control plane"));
  const TempDir stale;
  asio::local::stream_protocol::acceptor left_behind(io_, stale.path() + "/feed.sock");
  left_behind.close();
  EXPECT_TRUE(FeedServer::Listen(io_, stale.path(), current).ok());
}

TEST_F(FeedTest, HowTheCatalogIsReachesEveryDataplaneAlsoOneThatComesLater) {
  PlayedDataplane early(io_, dir_.path());
  early.Hello("", 0);
  ASSERT_TRUE(Reaches(early, Version()));
  const api::CatalogStatus status{"http://c:8500", false, 1700000000000, "connection refused"};
  feed_->PublishStatus(status);
  PlayedDataplane late(io_, dir_.path());
  late.Hello("", 0);
  for (PlayedDataplane* one : {&early, &late}) {
    ASSERT_TRUE(RunUntil(io_, [&] { return one->Poll() && !one->statuses.empty(); }));
    EXPECT_EQ(one->statuses[0], status);
  }
  EXPECT_TRUE(Reaches(late, Version()));
}

TEST_F(FeedTest, ADataplaneThatReadsNothingIsOwedOneStatusOnly) {
  PlayedDataplane dataplane(io_, dir_.path());
  dataplane.Hello("", 0);
  ASSERT_TRUE(Reaches(dataplane, Version()));
  const std::string error(60000, 'x');
  for (int i = 1; i <= 200; ++i) {
    feed_->PublishStatus({"c", false, i, error});
    io_.poll();
  }
  ASSERT_TRUE(RunUntil(io_, [&] { return dataplane.Poll() && !dataplane.statuses.empty() && dataplane.statuses.back().good_unix_ms == 200; }));
  EXPECT_LT(dataplane.statuses.size(), 200u);
  ChangeOnce();
  EXPECT_TRUE(Reaches(dataplane, Version()));
}

TEST_F(FeedTest, EjectionsAreToldWhenTheyChangeAndEndWithTheirDataplane) {
  int told = 0;
  feed_->OnEjections([&] { ++told; });
  PlayedDataplane dataplane(io_, dir_.path());
  dataplane.Hello("", 0);
  ASSERT_TRUE(Reaches(dataplane, Version()));
  api::Report report{1, {}, {{"web", "n/a", 3, 1, 5000, 2, "connect failed"}}, false};
  dataplane.Send(report);
  ASSERT_TRUE(RunUntil(io_, [&] { return told == 1; }));
  EXPECT_EQ(feed_->Ejected(), (std::map<std::string, EjectedEndpoints>{{"web", {{"n/a", 3}}}}));
  ASSERT_EQ(feed_->Dataplanes()[0].ejected.size(), 1u);
  EXPECT_LE(feed_->Dataplanes()[0].ejected[0].remaining_ms, 5000u);
  report.ejected[0].remaining_ms = 4000;
  report.version = 7;
  dataplane.Send(report);
  ASSERT_TRUE(RunUntil(io_, [&] { return feed_->Progress("web", "n/a", 7).behind == 0 || feed_->Dataplanes()[0].ejected[0].remaining_ms <= 4000; }));
  EXPECT_EQ(told, 1) << "only the time that is left is another";
  report.leaving = true;
  dataplane.Send(report);
  ASSERT_TRUE(RunUntil(io_, [&] { return told == 2; }));
  EXPECT_TRUE(feed_->Ejected().empty()) << "it gets no new requests";
  EXPECT_TRUE(feed_->Dataplanes()[0].leaving);
  dataplane.Close();
  ASSERT_TRUE(RunUntil(io_, [&] { return told == 3; }));
}

TEST_F(FeedTest, DrainOfOneInMaintenanceWaitsForWhatIsInFlight) {
  PlayedDataplane dataplane(io_, dir_.path());
  dataplane.Hello("", 0);
  ASSERT_TRUE(Reaches(dataplane, 1));
  Instance serviced = MakeInstance("n/a");
  serviced.health = InstanceHealth::kMaintenance;
  catalog_.Set("web", {serviced, MakeInstance("n/b", 1, 81)});
  ASSERT_TRUE(Reaches(dataplane, 2));
  EXPECT_EQ(dataplane.snapshot.services[0].endpoints[0].state, api::EndpointState::kDraining);
  dataplane.Send(api::Ack{2});
  dataplane.Send(api::Report{2, {{"web", "n/a", 1, 1}}});
  ASSERT_TRUE(RunUntil(io_, [&] { return feed_->Progress("web", "n/a", 2).in_flight == 1; }));
  StartDrain("n/a", std::chrono::hours(1));
  ASSERT_TRUE(RunUntil(io_, [&] { return Version() == 3; })) << "the reason is another";
  ASSERT_TRUE(Reaches(dataplane, 3));
  dataplane.Send(api::Ack{3});
  dataplane.Send(api::Report{3, {}});
  ASSERT_TRUE(RunUntil(io_, [&] { return drained_.has_value(); }));
  EXPECT_TRUE((*drained_)->drained);
}

TEST_F(FeedTest, ADrainThatDoesNotEndNamesWhomItWaitsFor) {
  PlayedDataplane busy(io_, dir_.path());
  PlayedDataplane behind(io_, dir_.path());
  busy.Send(api::Hello{.protocol = 1, .pid = 11, .workers = 2, .epoch = "", .version = 0});
  behind.Send(api::Hello{.protocol = 1, .pid = 12, .workers = 2, .epoch = "", .version = 0});
  ASSERT_TRUE(Reaches(busy, 1) && Reaches(behind, 1));
  StartDrain("n/a", std::chrono::milliseconds(100));
  ASSERT_TRUE(Reaches(busy, 2));
  busy.Send(api::Ack{2});
  busy.Send(api::Report{2, {{"web", "n/a", 1, 5}}, {}, true});
  ASSERT_TRUE(RunUntil(io_, [&] { return drained_.has_value(); }));
  EXPECT_FALSE((*drained_)->drained);
  EXPECT_EQ(WhyNotDrained(**drained_), "dataplane 11 (leaving) has 5 in flight; dataplane 12 has not acknowledged");
}

TEST_F(FeedTest, DrainWithNoDataplaneIsAnsweredAtOnce) {
  StartDrain("n/a", std::chrono::hours(1));
  ASSERT_TRUE(RunUntil(io_, [&] { return drained_.has_value(); }));
  EXPECT_TRUE((*drained_)->drained);
  EXPECT_EQ((*drained_)->dataplanes, 0u);
  EXPECT_EQ(resolver_.snapshot().services[0].endpoints[0].state, api::EndpointState::kDraining);
}

TEST_F(FeedTest, DrainOfAnUnknownEndpointIsNotFound) {
  StartDrain("n/zzz", std::chrono::hours(1));
  ASSERT_TRUE(RunUntil(io_, [&] { return drained_.has_value(); }));
  EXPECT_EQ(drained_->status().code(), absl::StatusCode::kNotFound);
}

TEST_F(FeedTest, DrainWaitsForEveryAckAndForNothingInFlight) {
  PlayedDataplane one(io_, dir_.path());
  PlayedDataplane two(io_, dir_.path());
  one.Hello("", 0);
  two.Hello("", 0);
  ASSERT_TRUE(Reaches(one, Version()) && Reaches(two, Version()));
  StartDrain("n/a", std::chrono::hours(1));
  ASSERT_TRUE(RunUntil(io_, [&] { return Version() == 2; }));
  ASSERT_TRUE(Reaches(one, 2) && Reaches(two, 2));
  EXPECT_EQ(one.snapshot.services[0].endpoints[0].state, api::EndpointState::kDraining);
  one.Send(api::Ack{2});
  one.Send(api::Report{2, {}});
  two.Send(api::Ack{2});
  two.Send(api::Report{2, {{"web", "n/a", 1, 3}, {"web", "n/b", 1, 7}}});
  ASSERT_TRUE(RunUntil(io_, [&] { return feed_->Progress("web", "n/a", 2).behind == 0; }));
  EXPECT_EQ(feed_->Progress("web", "n/a", 2).in_flight, 3u);
  EXPECT_FALSE(drained_);
  two.Send(api::Report{2, {{"web", "n/b", 1, 7}}});
  ASSERT_TRUE(RunUntil(io_, [&] { return drained_.has_value(); }));
  EXPECT_TRUE((*drained_)->drained);
  EXPECT_EQ((*drained_)->dataplanes, 2u);
}

TEST_F(FeedTest, AnOldReportDoesNotCountForADrain) {
  PlayedDataplane dataplane(io_, dir_.path());
  dataplane.Hello("", 0);
  ASSERT_TRUE(Reaches(dataplane, 1));
  dataplane.Send(api::Ack{1});
  dataplane.Send(api::Report{1, {}});
  ASSERT_TRUE(RunUntil(io_, [&] { return feed_->Progress("web", "n/a", 1).behind == 0; }));
  EXPECT_EQ(feed_->Progress("web", "n/a", 2).behind, 1u);
}

TEST_F(FeedTest, DrainThatIsNotOverInTimeSaysWhatIsLeft) {
  PlayedDataplane dataplane(io_, dir_.path());
  dataplane.Hello("", 0);
  ASSERT_TRUE(Reaches(dataplane, 1));
  StartDrain("n/a", std::chrono::milliseconds(100));
  ASSERT_TRUE(Reaches(dataplane, 2));
  dataplane.Send(api::Ack{2});
  dataplane.Send(api::Report{2, {{"web", "n/a", 1, 5}}});
  ASSERT_TRUE(RunUntil(io_, [&] { return drained_.has_value(); }));
  EXPECT_FALSE((*drained_)->drained);
  EXPECT_EQ((*drained_)->dataplanes, 1u);
  EXPECT_TRUE(drain_->Undrain("web", "n/a").ok());
  ASSERT_TRUE(RunUntil(io_, [&] { return Version() == 3; }));
  EXPECT_EQ(resolver_.snapshot().services[0].endpoints[0].state, api::EndpointState::kReady);
}

TEST_F(FeedTest, ADataplaneThatIsAboutToComeBackIsWaitedFor) {
  drain_.emplace(resolver_, *feed_, std::chrono::hours(1));
  StartDrain("n/a", std::chrono::hours(1));
  ASSERT_TRUE(RunUntil(io_, [&] { return Version() == 2; }));
  EXPECT_FALSE(drained_);
  PlayedDataplane dataplane(io_, dir_.path());
  dataplane.Hello("", 0);
  ASSERT_TRUE(Reaches(dataplane, 2));
  EXPECT_FALSE(drained_);
  dataplane.Send(api::Ack{2});
  dataplane.Send(api::Report{2, {}});
  ASSERT_TRUE(RunUntil(io_, [&] { return drained_.has_value(); }));
  EXPECT_TRUE((*drained_)->drained);
}

}  // namespace
}  // namespace ringway::cp
