// The cold HTTP server against raw sockets: limits, keep-alive, HEAD, errors, a client that leaves.
#include "common/http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "tests/unit/common/http_test_support.h"

namespace ringway::http {
namespace {

using boost::asio::awaitable;
using boost::beast::http::status;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using namespace std::chrono_literals;

awaitable<Response> Echo(const Request& request, const Peer& peer) {
  std::string body(request.target());
  body += "|" + request.body() + "|" + peer.address + "\n";
  co_return MakeResponse(request, status::ok, "text/plain", std::move(body));
}

awaitable<Response> Throw(const Request&, const Peer&) {
  throw std::runtime_error("on purpose");
  co_return Response();
}

// Waits until the client is gone; the test sees it in `seen`.
Handler WaitUntilGone(std::atomic<bool>& started, std::atomic<bool>& seen) {
  return [&](const Request& request, const Peer& peer) -> awaitable<Response> {
    started = true;
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    while (!*peer.gone) {
      timer.expires_after(2ms);
      co_await timer.async_wait(boost::asio::use_awaitable);
    }
    seen = true;
    co_return MakeResponse(request, status::ok, "text/plain", "late");
  };
}

void WaitFor(const std::atomic<bool>& flag) {
  for (int i = 0; i < 5000 && !flag; ++i) std::this_thread::sleep_for(2ms);
  EXPECT_TRUE(flag);
}

TEST(HttpServer, KeepsAConnectionForSeveralAndPipelinedRequests) {
  RunningServer server({"test"}, Echo);
  RawSocket client(server.port());
  client.Send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
  client.ReceiveUntil("/2|abc|127.0.0.1");
  client.Send("GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string all = client.ReceiveAll();
  EXPECT_LT(all.find("/1||"), all.find("/2|abc"));
  EXPECT_LT(all.find("/2|abc"), all.find("/3||"));
}

TEST(HttpServer, HeadHasTheLengthButNoBody) {
  RunningServer server({"test"}, Echo);
  RawSocket client(server.port());
  client.Send("HEAD /1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answer = client.ReceiveAll();
  EXPECT_THAT(answer, HasSubstr("Content-Length: 14\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST(HttpServer, AnswersExpectContinueBeforeTheBodyIsSent) {
  RunningServer server({"test"}, Echo);
  RawSocket client(server.port());
  client.Send("POST /1 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_THAT(client.ReceiveUntil("\r\n\r\n"), StartsWith("HTTP/1.1 100"));
  client.Send("abc");
  EXPECT_THAT(client.ReceiveUntil("/1|abc|"), HasSubstr("HTTP/1.1 200"));
}

TEST(HttpServer, RefusesABodyOverTheLimitAndStillGetsTheAnswerThrough) {
  ServerOptions options{"test"};
  options.body_bytes_max = 1000;
  RunningServer server(options, Echo);
  RawSocket announced(server.port());
  announced.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'x'));
  EXPECT_THAT(announced.ReceiveUntil("large\n"), StartsWith("HTTP/1.1 413"));
  RawSocket chunked(server.port());
  std::string body = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 50; ++i) body += "64\r\n" + std::string(100, 'x') + "\r\n";
  chunked.Send(body);
  EXPECT_THAT(chunked.ReceiveUntil("large\n"), StartsWith("HTTP/1.1 413"));
  RawSocket exact(server.port());
  exact.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x'));
  EXPECT_THAT(exact.ReceiveUntil("x|127"), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServer, RefusesAHeadOverTheLimit) {
  ServerOptions options{"test"};
  options.head_bytes_max = 2000;
  RunningServer server(options, Echo);
  RawSocket client(server.port());
  client.Send("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(3000, 'x') + "\r\n\r\n");
  EXPECT_THAT(client.ReceiveUntil("large\n"), StartsWith("HTTP/1.1 431"));
}

TEST(HttpServer, RefusesWhatIsNotHttp) {
  RunningServer server({"test"}, Echo);
  RawSocket client(server.port());
  client.Send("hello there\r\n\r\n");
  EXPECT_THAT(client.ReceiveUntil("request\n"), StartsWith("HTTP/1.1 400"));
}

TEST(HttpServer, AnExceptionInAHandlerBecomes500) {
  RunningServer server({"test"}, Throw);
  RawSocket client(server.port());
  client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string answer = client.ReceiveUntil("internal error\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(answer, Not(HasSubstr("on purpose")));
}

TEST(HttpServer, ClosesConnectionsBeyondTheLimit) {
  ServerOptions options{"test"};
  options.connections_max = 1;
  RunningServer server(options, Echo);
  RawSocket first(server.port());
  first.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  first.ReceiveUntil("127.0.0.1\n");
  RawSocket second(server.port());
  EXPECT_EQ(second.ReceiveAll(), "");
  EXPECT_EQ(server.connections(), 1u);
}

TEST(HttpServer, ClosesAConnectionThatStaysIdle) {
  ServerOptions options{"test"};
  options.idle_timeout = 30ms;
  RunningServer server(options, Echo);
  RawSocket silent(server.port());
  EXPECT_EQ(silent.ReceiveAll(), "");
  RawSocket half(server.port());
  half.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
  EXPECT_EQ(half.ReceiveAll(), "");
}

TEST(HttpServer, AWaitingHandlerLearnsThatItsClientIsGone) {
  std::atomic<bool> started = false, seen = false;
  RunningServer server({"test"}, WaitUntilGone(started, seen));
  RawSocket client(server.port());
  client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  WaitFor(started);
  EXPECT_FALSE(seen);
  client.Close();
  WaitFor(seen);
}

TEST(HttpServer, AWaitingHandlerLearnsItEvenBehindAPipelinedRequest) {
  std::atomic<bool> started = false, seen = false;
  RunningServer server({"test"}, WaitUntilGone(started, seen));
  RawSocket client(server.port());
  client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  WaitFor(started);
  client.Send("GET /second HTTP/1.1\r\nHost: x\r\n\r\n");
  client.Close();
  WaitFor(seen);
}

TEST(HttpServer, CloseEndsWaitingHandlers) {
  std::atomic<bool> started = false, seen = false;
  RunningServer server({"test"}, WaitUntilGone(started, seen));
  RawSocket client(server.port());
  client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  WaitFor(started);
  server.Close();
  EXPECT_EQ(client.ReceiveAll(), "");
}

TEST(HttpServer, SaysWhichAddressItCannotTake) {
  RunningServer server({"test"}, Echo);
  boost::asio::io_context io;
  const std::string taken = "127.0.0.1:" + std::to_string(server.port());
  const auto second = Server::Listen(io, taken, {"test"}, Echo);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(taken));
  for (const char* bind : {"", "localhost:80", "127.0.0.1", "::1:80", "[127.0.0.1]:80", "1.2.3.4:65536", "unix:"}) {
    EXPECT_EQ(Server::Listen(io, bind, {"test"}, Echo).status().code(), absl::StatusCode::kInvalidArgument) << bind;
  }
}

TEST(HttpServer, ReplacesADeadUnixSocketAndRespectsALiveOne) {
  const auto folder = std::filesystem::temp_directory_path() / ("ringway_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  const std::string bind = "unix:" + (folder / "s").string();
  Url url;
  url.unix_path = (folder / "s").string();
  {
    // A dead one: bound and never unlinked, as after kill -9.
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_storage storage{};
    storage.ss_family = AF_UNIX;
    url.unix_path.copy(reinterpret_cast<char*>(&storage) + sizeof(sa_family_t), 100);
    ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&storage), sizeof(sa_family_t) + 108), 0);
    close(fd);
    RunningServer server({"test"}, Echo, bind);
    const auto response = FetchBlocking(url, {});
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->body, "/||unix\n");
    EXPECT_EQ(std::filesystem::status(url.unix_path).permissions(), std::filesystem::perms(0660));
    boost::asio::io_context io;
    EXPECT_FALSE(Server::Listen(io, bind, {"test"}, Echo).ok());
  }
  EXPECT_FALSE(std::filesystem::exists(url.unix_path));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace ringway::http
