// The feed's client against a control plane made of a plain socket: hello, ack, refusal and its repair, delta, drain report.
#include "dataplane/feed/feed_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <future>

#include "common/api/feed_frame.h"
#include "common/api/feed_json.h"
#include "dataplane/feed/address.h"
#include "dataplane/feed/listener_sockets.h"
#include "tests/unit/dataplane/feed/feed_test_support.h"

namespace ringway::dp {
namespace {

namespace fs = std::filesystem;

class FeedClientTest : public ::testing::Test {
 protected:
  FeedClientTest() {
    std::string pattern = fs::temp_directory_path() / "ringway_feed_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    listener_ = UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (folder_ / "feed.sock").string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(listener_.get(), 4), 0);
    std::vector<WorkerShared*> shared;
    std::vector<WorkerPort> ports;
    for (int i = 0; i < 2; ++i) {
      shared_.push_back(std::make_unique<WorkerShared>());
      takers_.push_back(std::make_unique<MapTaker>(*shared_[i]));
      shared.push_back(shared_[i].get());
      ports.push_back({shared_[i].get(), [taker = takers_[i].get()] { taker->Wake(); }});
    }
    builder_ = std::make_unique<MapBuilder>(shared);
    publisher_ = std::make_unique<Publisher>(ports);
    applier_ = std::make_unique<Applier>(io_, *builder_, *publisher_);
    store_ = std::make_unique<SnapshotStore>(io_, folder_ / "snapshot.json");
    client_ = std::make_unique<FeedClient>(io_, (folder_ / "feed.sock").string(), *applier_, store_.get());
    boost::asio::co_spawn(io_, client_->Run(), boost::asio::detached);
    main_ = std::thread([this] { io_.run(); });
  }
  ~FeedClientTest() override {
    io_.stop();
    main_.join();
    store_.reset();
    for (const auto& l : builder_->current().listeners) {
      if (l == nullptr) continue;
      for (const int fd : l->sockets) close(fd);
    }
    fs::remove_all(folder_);
  }
  void Accept() {
    peer_ = UniqueFd(accept(listener_.get(), nullptr, nullptr));
    timeval limit{20, 0};
    setsockopt(peer_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    frames_ = {};
  }
  void Send(const api::Message& message) {
    const std::string frame = api::Frame(api::EncodeMessage(message));
    ASSERT_EQ(send(peer_.get(), frame.data(), frame.size(), MSG_NOSIGNAL), static_cast<ssize_t>(frame.size()));
  }
  // The next message of this kind; others before it are passed over.
  template <typename T>
  T Next() {
    for (;;) {
      auto payload = frames_.Next();
      if (payload.ok() && payload->has_value()) {
        const auto message = api::DecodeMessage(**payload);
        if (std::holds_alternative<T>(*message)) return std::get<T>(*message);
        continue;
      }
      char bytes[4096];
      const ssize_t n = recv(peer_.get(), bytes, sizeof(bytes), 0);
      if (n <= 0) {
        ADD_FAILURE() << "the dataplane said nothing more";
        return T{};
      }
      frames_.Append(std::string_view(bytes, static_cast<size_t>(n)));
    }
  }

  template <typename F>
  auto OnMain(F f) {
    std::packaged_task<decltype(f())()> task(f);
    auto result = task.get_future();
    boost::asio::post(io_, [&] { task(); });
    return result.get();
  }
  EndpointHandle HandleOf(const std::string& id) {
    return OnMain([&] {
      for (const auto& [handle, record] : builder_->directory().endpoints) {
        if (record.endpoint.id == id) return handle;
      }
      return kNoHandle;
    });
  }

  fs::path folder_;
  UniqueFd listener_, peer_;
  api::FrameReader frames_;
  boost::asio::io_context io_{1};
  std::vector<std::unique_ptr<WorkerShared>> shared_;
  std::vector<std::unique_ptr<MapTaker>> takers_;
  std::unique_ptr<MapBuilder> builder_;
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<Applier> applier_;
  std::unique_ptr<SnapshotStore> store_;
  std::unique_ptr<FeedClient> client_;
  std::thread main_;
};

TEST_F(FeedClientTest, TakesASnapshotThenADeltaAndRemembersThemAcrossConnections) {
  Accept();
  const auto hello = Next<api::Hello>();
  EXPECT_EQ(hello.version, 0u);
  EXPECT_EQ(hello.workers, 2u);
  EXPECT_EQ(hello.pid, getpid());
  Send(WebSnapshot(7));
  EXPECT_EQ(Next<api::Ack>().version, 7u);
  EXPECT_TRUE(Next<api::Report>().draining.empty());
  Send(api::Delta{"e", 7, 8, {{"web", {EndpointAt("c", 8003)}, {"a"}}}});
  EXPECT_EQ(Next<api::Ack>().version, 8u);
  for (const auto& shared : shared_) EXPECT_EQ(shared->map_version, 2u);
  peer_ = UniqueFd();
  Accept();
  const auto again = Next<api::Hello>();
  EXPECT_EQ(again.epoch, "e");
  EXPECT_EQ(again.version, 8u);
  EXPECT_EQ(Next<api::Ack>().version, 8u);
}

TEST_F(FeedClientTest, ADeltaThatDoesNotFitAsksForAWholeSnapshot) {
  Accept();
  Next<api::Hello>();
  Send(WebSnapshot(7));
  Next<api::Ack>();
  Send(api::Delta{"e", 9, 10, {}});
  Accept();
  EXPECT_EQ(Next<api::Hello>().version, 0u);
}

TEST_F(FeedClientTest, RefusesInWordsAndGoesOnWithWhatRan) {
  Accept();
  Next<api::Hello>();
  Send(WebSnapshot(1));
  Next<api::Ack>();
  api::Snapshot wrong = WebSnapshot(2);
  wrong.services[1].endpoints[0].address = "nowhere";
  Send(wrong);
  const auto refusal = Next<api::Refuse>();
  EXPECT_EQ(refusal.version, 2u);
  EXPECT_THAT(refusal.reason, ::testing::HasSubstr("services[web].endpoints[a].address"));
  // The next delta may start from what runs.
  Send(api::Delta{"e", 1, 3, {}});
  EXPECT_EQ(Next<api::Ack>().version, 3u);
}

TEST_F(FeedClientTest, AnAddressInUseIsTriedAgainAndAcknowledgedLate) {
  UniqueFd taken(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage;
  const socklen_t size = ToSockaddr(*ParseBind("127.0.0.1:0"), storage);
  ASSERT_EQ(bind(taken.get(), reinterpret_cast<sockaddr*>(&storage), size), 0);
  ASSERT_EQ(listen(taken.get(), 1), 0);
  Accept();
  Next<api::Hello>();
  api::Snapshot snapshot = WebSnapshot(4);
  snapshot.listeners[0].bind = SpellAddress(LocalAddress(taken.get()));
  Send(snapshot);
  EXPECT_THAT(Next<api::Refuse>().reason, ::testing::HasSubstr("Address already in use"));
  taken = UniqueFd();
  EXPECT_EQ(Next<api::Ack>().version, 4u);
}

TEST_F(FeedClientTest, EndpointsChangeThoughANewListenerCannotListen) {
  Accept();
  Next<api::Hello>();
  Send(WebSnapshot(1));
  Next<api::Ack>();
  UniqueFd taken(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage;
  const socklen_t size = ToSockaddr(*ParseBind("127.0.0.1:0"), storage);
  ASSERT_EQ(bind(taken.get(), reinterpret_cast<sockaddr*>(&storage), size), 0);
  ASSERT_EQ(listen(taken.get(), 1), 0);
  api::Snapshot snapshot = WebSnapshot(2);
  snapshot.listeners.push_back(snapshot.listeners[0]);
  snapshot.listeners[1].name = "second";
  snapshot.listeners[1].bind = SpellAddress(LocalAddress(taken.get()));
  Send(snapshot);
  EXPECT_EQ(Next<api::Ack>(), (api::Ack{2, true}));
  EXPECT_THAT(Next<api::Refuse>().reason, ::testing::HasSubstr("Address already in use"));
  // A drain has to be answered for meanwhile.
  api::Endpoint a = EndpointAt("a", 8001);
  a.state = api::EndpointState::kDraining;
  Send(api::Delta{"e", 2, 3, {{"web", {a}, {}}}});
  EXPECT_EQ(Next<api::Ack>().version, 3u);
  EXPECT_EQ(Next<api::Refuse>().version, 3u);
  EXPECT_EQ(Next<api::Report>().draining.size(), 1u);
  // And once the address is free, the listener opens.
  taken = UniqueFd();
  EXPECT_EQ(Next<api::Ack>(), (api::Ack{3, false}));
  peer_ = UniqueFd();
  Accept();
  EXPECT_EQ(Next<api::Hello>().version, 3u);
}

TEST_F(FeedClientTest, ReportsWhatIsInFlightOnDrainingEndpointsUntilItIsZero) {
  Accept();
  Next<api::Hello>();
  Send(WebSnapshot(1));
  Next<api::Ack>();
  for (const auto& shared : shared_) {
    for (EndpointCounters& c : shared->counters.endpoints) c.exchanges_in_flight.Set(0);
    for (EndpointHandle h = 0; h < 3; ++h) shared->counters.endpoints[h].exchanges_in_flight.Add(2);
  }
  api::Endpoint a = EndpointAt("a", 8001);
  a.state = api::EndpointState::kDraining;
  Send(api::Delta{"e", 1, 2, {{"web", {a}, {}}}});
  EXPECT_EQ(Next<api::Ack>().version, 2u);
  auto report = Next<api::Report>();
  EXPECT_EQ(report.version, 2u);
  ASSERT_EQ(report.draining.size(), 1u);
  EXPECT_EQ(report.draining[0], (api::InFlight{"web", "a", 1, 4}));
  for (EndpointHandle h = 0; h < 3; ++h) shared_[0]->counters.endpoints[h].exchanges_in_flight.Sub(2);
  EXPECT_EQ(Next<api::Report>().draining[0].exchanges, 2u);
  for (EndpointHandle h = 0; h < 3; ++h) shared_[1]->counters.endpoints[h].exchanges_in_flight.Sub(2);
  EXPECT_EQ(Next<api::Report>().draining[0].exchanges, 0u);
}

TEST_F(FeedClientTest, ReportsWhatIsEjectedWhenItChanges) {
  Accept();
  Next<api::Hello>();
  Send(WebSnapshot(1));
  Next<api::Ack>();
  EXPECT_THAT(Next<api::Report>().ejected, ::testing::IsEmpty());
  const EndpointHandle a = HandleOf("a");
  const auto eject = [&](size_t worker, uint64_t for_us) {
    CounterTable& counters = shared_[worker]->counters;
    counters.endpoints[a].ejected_until_us.Set(MonotonicNowUs() + for_us);
    counters.endpoints[a].ejection_reason.Set(static_cast<uint64_t>(EjectionReason::kReset));
    counters.endpoints[a].ejections_total.Add();
    counters.worker.ejections_total.Add();
  };
  eject(1, 3'600'000'000);
  auto report = Next<api::Report>();
  ASSERT_EQ(report.ejected.size(), 1u);
  EXPECT_GT(report.ejected[0].remaining_ms, 3'000'000u);
  report.ejected[0].remaining_ms = 0;
  EXPECT_EQ(report.ejected[0], (api::Ejection{"web", "a", 1, 1, 0, 1, "connections end before a response"}));
  EXPECT_FALSE(report.leaving);
  eject(0, 3'600'000'000);
  EXPECT_EQ(Next<api::Report>().ejected[0].workers, 2u);
  for (const auto& shared : shared_) shared->counters.endpoints[a].ejected_until_us.Set(1);
  while (!Next<api::Report>().ejected.empty()) {
  }
  // A control plane that comes new is told what is ejected at the time.
  eject(0, 3'600'000'000);
  peer_ = UniqueFd();
  Accept();
  while (Next<api::Report>().ejected.empty()) {
  }
}

TEST_F(FeedClientTest, OneThatLeavesFollowsTheFeedOpensNothingAndKeepsNothing) {
  Accept();
  Next<api::Hello>();
  Send(WebSnapshot(1));
  Next<api::Ack>();
  OnMain([this] { return client_->SetLeaving(), 0; });
  while (!Next<api::Report>().leaving) {
  }
  EXPECT_EQ(ReadSnapshotFile(folder_ / "snapshot.json")->snapshot->version, 1u);
  api::Snapshot next = WebSnapshot(2);
  next.listeners.push_back(next.listeners[0]);
  next.listeners[1].name = "second";
  next.listeners[1].bind = "[::1]:0";
  next.services[1].endpoints.push_back(EndpointAt("c", 8003));
  Send(next);
  EXPECT_EQ(Next<api::Ack>().version, 2u);
  EXPECT_TRUE(Next<api::Report>().leaving);
  EXPECT_NE(HandleOf("c"), kNoHandle);
  EXPECT_EQ(OnMain([this] { return builder_->directory().listeners.size(); }), 1u) << "the successor has the new one";
  Send(api::Delta{"e", 2, 3, {{"web", {}, {"c"}}}});
  EXPECT_EQ(Next<api::Ack>().version, 3u);
  EXPECT_EQ(ReadSnapshotFile(folder_ / "snapshot.json")->snapshot->version, 1u);
}

TEST_F(FeedClientTest, TheCatalogsStatusIsKeptAsTold) {
  Accept();
  Next<api::Hello>();
  EXPECT_FALSE(OnMain([this] { return client_->status().catalog.has_value(); }));
  const api::CatalogStatus status{"http://consul:8500", false, 1700000000000, "connection refused"};
  Send(status);
  Send(WebSnapshot(1));
  Next<api::Ack>();  // in order: the status is in
  EXPECT_EQ(OnMain([this] { return client_->status().catalog; }), status);
  peer_ = UniqueFd();
  Accept();
  Next<api::Hello>();
  EXPECT_EQ(OnMain([this] { return client_->status().catalog; }), status) << "what was last known stays";
}

TEST_F(FeedClientTest, GarbageIsRefusedAndTheConnectionHolds) {
  Accept();
  Next<api::Hello>();
  const std::string frame = api::Frame("{\"type\":\"snapshot\",\"version\":\"x\"}");
  ASSERT_GT(send(peer_.get(), frame.data(), frame.size(), MSG_NOSIGNAL), 0);
  EXPECT_THAT(Next<api::Refuse>().reason, ::testing::HasSubstr("version: wanted"));
  Send(WebSnapshot(1));
  EXPECT_EQ(Next<api::Ack>().version, 1u);
}

}  // namespace
}  // namespace ringway::dp
