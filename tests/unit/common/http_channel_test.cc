// Kept connections: reuse, a peer that closes, time-outs, cancellation, names that outlive their name service. TLS is in
// tests/integration/consul_source, with a real server.
#include "common/http/channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <set>

#include "common/http/lookup.h"
#include "tests/unit/common/http_test_support.h"

namespace ringway::http {
namespace {

using boost::asio::awaitable;
using boost::beast::http::status;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

awaitable<Response> Handle(const Request& request, const Peer&) {
  if (request.target() == "/slow") {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, 60s);
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
  Response response = MakeResponse(request, status::ok, "text/plain", std::string(request.target()));
  if (request.target() == "/last") response.keep_alive(false);
  co_return response;
}

class ChannelTest : public ::testing::Test {
 protected:
  ChannelTest() : server_(Options(), &Handle), channel_(MakeChannel(io_.get_executor(), server_.url())) {}
  static ServerOptions Options() {
    ServerOptions options;
    options.name = "test";
    return options;
  }
  absl::StatusOr<ClientResponse> Fetch(const std::string& target, std::chrono::milliseconds timeout = 10s) {
    ClientRequest request;
    request.target = target;
    request.timeout = timeout;
    return Run(request);
  }
  absl::StatusOr<ClientResponse> Run(ClientRequest request) {
    absl::StatusOr<ClientResponse> result = absl::UnknownError("not run");
    boost::asio::co_spawn(io_, channel_->Fetch(std::move(request)), [&](std::exception_ptr, absl::StatusOr<ClientResponse> response) { result = std::move(response); });
    io_.restart();
    io_.run();
    return result;
  }
  boost::asio::io_context io_{1};
  RunningServer server_;
  std::unique_ptr<Channel> channel_;
};

TEST_F(ChannelTest, ManyRequestsUseOneConnection) {
  for (int i = 0; i < 5; ++i) {
    const auto response = Fetch("/" + std::to_string(i));
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->body, "/" + std::to_string(i));
    EXPECT_EQ(server_.connections(), 1u);
  }
}

TEST_F(ChannelTest, APeerThatSaysItClosesIsConnectedAnew) {
  ASSERT_TRUE(Fetch("/last").ok());
  EXPECT_EQ(Fetch("/next")->body, "/next");
}

TEST_F(ChannelTest, APeerThatClosedMeanwhileIsConnectedAnewUnlessToldNotTo) {
  for (const bool resend : {true, false}) {
    RunningServer other(Options(), &Handle);
    channel_ = MakeChannel(io_.get_executor(), other.url());
    ASSERT_TRUE(Fetch("/one").ok());
    other.Close();  // also stops listening: whoever connects anew finds nobody
    ClientRequest request;
    request.resend = resend;
    const absl::Status status = Run(request).status();
    EXPECT_EQ(status.code(), resend ? absl::StatusCode::kUnavailable : absl::StatusCode::kDataLoss) << status;
  }
}

TEST_F(ChannelTest, ATimeOutEndsTheConnectionAndNotTheChannel) {
  const auto response = Fetch("/slow", 50ms);
  EXPECT_TRUE(absl::IsDeadlineExceeded(response.status())) << response.status();
  EXPECT_THAT(std::string(response.status().message()), HasSubstr("no answer within 50 ms"));
  EXPECT_EQ(Fetch("/next")->body, "/next");
}

TEST_F(ChannelTest, CloseEndsWhatIsUnderWay) {
  boost::asio::steady_timer timer(io_, 50ms);
  timer.async_wait([&](boost::system::error_code) { channel_->Close(); });
  EXPECT_TRUE(absl::IsCancelled(Fetch("/slow").status()));
  EXPECT_EQ(Fetch("/next")->body, "/next");
}

TEST_F(ChannelTest, ABodyBeyondTheLimitIsRefused) {
  ClientRequest request;
  request.target = "/a-body-of-some-bytes";
  request.body_bytes_max = 4;
  EXPECT_THAT(std::string(Run(request).status().message()), HasSubstr("exceeds 4 bytes"));
}

TEST_F(ChannelTest, TlsIsRefusedWhereThereIsNone) {
  Url url = server_.url();
  url.tls = true;
  channel_ = MakeChannel(io_.get_executor(), url);
  EXPECT_EQ(Fetch("/").status().code(), absl::StatusCode::kUnimplemented);
}

TEST(ParseUrlOrTls, KnowsBothKinds) {
  EXPECT_FALSE(ParseUrlOrTls("http://a:1")->tls);
  EXPECT_TRUE(ParseUrlOrTls("https://a:8501/base")->tls);
  EXPECT_EQ(ParseUrlOrTls("https://a:8501/base")->HostHeader(), "a:8501");
  EXPECT_EQ(ParseUrlOrTls("https://a")->port, 443);
  EXPECT_EQ(ParseUrlOrTls("https://a")->HostHeader(), "a");
  EXPECT_EQ(ParseUrlOrTls("https://a:80")->port, 80);
  EXPECT_FALSE(ParseUrlOrTls("https://").ok());
  EXPECT_FALSE(ParseUrl("https://a").ok());
}

absl::StatusOr<std::vector<SocketEndpoint>> LookUpNow(const Url& url, std::chrono::milliseconds within = 5s) {
  boost::asio::io_context io(1);
  absl::StatusOr<std::vector<SocketEndpoint>> found = absl::UnknownError("not run");
  boost::asio::co_spawn(io, LookUp(url, std::chrono::steady_clock::now() + within),
                        [&](std::exception_ptr, absl::StatusOr<std::vector<SocketEndpoint>> result) { found = std::move(result); });
  io.run();
  return found;
}

TEST(LookUp, LiteralsAndPathsNeedNoNameService) {
  EXPECT_TRUE(LookUpNow(*ParseUrl("http://[::1]:1")).ok());
  EXPECT_TRUE(LookUpNow(*ParseUrl("http://127.0.0.1:1")).ok());
  EXPECT_TRUE(LookUpNow(*ParseUrl("unix:/run/x")).ok());
  EXPECT_FALSE(LookUpNow(*ParseUrl("unix:/" + std::string(200, 'x'))).ok());
}

TEST(LookUp, ANameThatWasFoundOnceIsFoundWhateverTheNameServiceSays) {
  Url url = *ParseUrl("http://localhost:4711");
  const auto first = LookUpNow(url);
  ASSERT_TRUE(first.ok()) << first.status();
  Distrust(url);
  const auto late = LookUpNow(url, 0ms);  // no time for any name service
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_EQ(*late, *first);
  EXPECT_FALSE(LookUpNow(*ParseUrl("http://localhost:4712"), 0ms).ok());  // never found before
}

TEST(LookUp, WhoAsksLaterJoinsTheOneThatIsUnderWay) {
  boost::asio::io_context io(1);
  const Url url = *ParseUrl("http://localhost:4713");
  int found = 0;
  const auto count = [&](std::exception_ptr, const absl::StatusOr<std::vector<SocketEndpoint>>& result) { found += result.ok(); };
  for (int i = 0; i < 3; ++i) boost::asio::co_spawn(io, LookUp(url, std::chrono::steady_clock::now() + 5s), count);
  io.run();
  EXPECT_EQ(found, 3);
}

}  // namespace
}  // namespace ringway::http
