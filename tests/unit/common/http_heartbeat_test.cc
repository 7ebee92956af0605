// Upgrade and the connection that beats: who is alive, who has left, and who was only asleep.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "common/http/heartbeat.h"
#include "common/http/server.h"
#include "common/http/upgrade.h"

namespace ringway::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Due = HeartbeatClock::Due;
using Kind = HeartbeatEnd::Kind;

constexpr HeartbeatTimes kTimes{seconds(1), seconds(3)};
const HeartbeatClock::Time kStart{std::chrono::hours(1)};

TEST(HeartbeatClock, SendsEveryIntervalAndBuriesAfterTheTimeout) {
  HeartbeatClock clock(kTimes, kStart);
  for (int second = 1; second <= 2; ++second) {
    EXPECT_EQ(clock.Next(), kStart + seconds(second));
    EXPECT_EQ(clock.OnTick(clock.Next(), kStart + seconds(second)), Due::kSend);
  }
  EXPECT_EQ(clock.OnTick(kStart + milliseconds(2999), kStart + milliseconds(2999)), Due::kNothing);
  EXPECT_EQ(clock.OnTick(clock.Next(), kStart + seconds(3)), Due::kDead);
}

TEST(HeartbeatClock, AByteStartsTheTimeoutAnew) {
  HeartbeatClock clock(kTimes, kStart);
  clock.OnBytes(kStart + milliseconds(2500));
  EXPECT_EQ(clock.OnTick(kStart + seconds(3), kStart + seconds(3)), Due::kSend);
  EXPECT_EQ(clock.OnTick(kStart + milliseconds(5499), kStart + milliseconds(5499)), Due::kSend);
  EXPECT_EQ(clock.Next(), kStart + milliseconds(5500));
  EXPECT_EQ(clock.OnTick(clock.Next(), clock.Next()), Due::kDead);
}

TEST(HeartbeatClock, OurOwnStopIsNotThePeersSilence) {
  HeartbeatClock clock(kTimes, kStart);
  EXPECT_EQ(clock.OnTick(clock.Next(), kStart + seconds(60)), Due::kSend);
  EXPECT_EQ(clock.OnTick(kStart + milliseconds(62999), kStart + milliseconds(62999)), Due::kSend);
  EXPECT_EQ(clock.OnTick(kStart + seconds(63), kStart + seconds(63)), Due::kDead);
}

class Heartbeat : public testing::Test {
 protected:
  Heartbeat() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    const boost::asio::generic::stream_protocol protocol(AF_UNIX, SOCK_STREAM);
    ours_.emplace(io_, protocol, fds[0]);
    theirs_.emplace(io_, protocol, fds[1]);
  }
  void Hold(Socket socket, std::function<bool()> wanted = [] { return true; }) {
    const HeartbeatTimes times{milliseconds(20), milliseconds(60)};
    boost::asio::co_spawn(io_, HoldHeartbeat(std::move(socket), times, std::move(wanted)),
                          [this](std::exception_ptr, HeartbeatEnd end) { ends_.push_back(end); });
  }
  void RunUntilEnds(size_t count) {
    while (ends_.size() < count && io_.run_one_for(seconds(20)) > 0) {
    }
    ASSERT_EQ(ends_.size(), count);
  }
  boost::asio::io_context io_;
  std::optional<Socket> ours_, theirs_;
  std::vector<HeartbeatEnd> ends_;
};

TEST_F(Heartbeat, EndsWhenThePeerCloses) {
  Hold(std::move(*ours_));
  io_.poll();
  theirs_->shutdown(Socket::shutdown_send);
  RunUntilEnds(1);
  EXPECT_EQ(ends_[0].kind, Kind::kClosed);
  EXPECT_EQ(ends_[0].why, "closed");
}

TEST_F(Heartbeat, EndsWhenThePeerSaysNothing) {
  Hold(std::move(*ours_));
  RunUntilEnds(1);
  EXPECT_EQ(ends_[0].kind, Kind::kSilent);
  EXPECT_EQ(ends_[0].why, "no heartbeat for 0.06 s");
}

TEST_F(Heartbeat, TwoThatBeatKeepEachOther) {
  int asked = 0;
  Hold(std::move(*ours_), [&asked] { return ++asked < 20; });
  Hold(std::move(*theirs_));
  RunUntilEnds(2);
  EXPECT_EQ(ends_[0].kind, Kind::kUnwanted);
  EXPECT_EQ(ends_[1].kind, Kind::kClosed);
}

TEST_F(Heartbeat, AFloodIsReadAndThrownAway) {
  Hold(std::move(*ours_));
  const std::string flood(1 << 20, 'x');
  boost::system::error_code error;
  theirs_->non_blocking(true);
  size_t sent = 0;
  while (sent < flood.size() * 8) {
    sent += theirs_->write_some(boost::asio::buffer(flood), error);
    io_.poll();
    ASSERT_TRUE(ends_.empty());
  }
  theirs_.reset();
  RunUntilEnds(1);
  EXPECT_EQ(ends_[0].kind, Kind::kClosed);
}

TEST(Upgrade, HandsTheSocketToTheHandlerAndToTheClient) {
  boost::asio::io_context io;
  std::vector<HeartbeatEnd> ends;
  const HeartbeatTimes times{milliseconds(20), seconds(20)};
  bool wanted = true;
  ServerOptions options;
  options.name = "test";
  auto server = Server::Listen(io, "127.0.0.1:0", options, [&](const Request& request, const Peer& peer) -> boost::asio::awaitable<Response> {
    if (request["Upgrade"] != "beat/1") co_return MakeResponse(request, boost::beast::http::status::upgrade_required, "text/plain", "no");
    *peer.take_over = [&](Socket socket) {
      boost::asio::co_spawn(io, HoldHeartbeat(std::move(socket), times, [&] { return wanted; }),
                            [&](std::exception_ptr, HeartbeatEnd end) { ends.push_back(end); });
    };
    Response response = MakeResponse(request, boost::beast::http::status::switching_protocols, "", "");
    response.set("Upgrade", "beat/1");
    response.set("Connection", "Upgrade");
    co_return response;
  });
  ASSERT_TRUE(server.ok()) << server.status();
  const Url url = *ParseUrl("http://127.0.0.1:" + std::to_string((*server)->port()));
  int refused = 0;
  auto client = [&]() -> boost::asio::awaitable<void> {
    std::string unknown = "other/1";
    ClientRequest request;
    absl::StatusOr<Upgraded> first = co_await Upgrade(url, request, std::move(unknown));
    if (first.ok() && !first->socket) refused = first->response.status;
    std::string known = "beat/1";
    absl::StatusOr<Upgraded> second = co_await Upgrade(url, request, std::move(known));
    EXPECT_TRUE(second.ok() && second->socket.has_value());
    EXPECT_EQ(second->response.Header("Content-Length"), nullptr);
    boost::asio::co_spawn(io, HoldHeartbeat(*std::move(second->socket), times, [] { return true; }),
                          [&](std::exception_ptr, HeartbeatEnd end) { ends.push_back(end); });
  };
  boost::asio::co_spawn(io, client(), boost::asio::detached);
  bool ended = false;
  while (ends.size() < 2 && io.run_one_for(seconds(20)) > 0) {
    if (wanted && refused != 0 && (*server)->connections() == 0) wanted = false;
  }
  ended = ends.size() == 2;
  EXPECT_EQ(refused, 426);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ends[0].kind, Kind::kUnwanted);
  EXPECT_EQ(ends[1].kind, Kind::kClosed);
}

}  // namespace
}  // namespace ringway::http
