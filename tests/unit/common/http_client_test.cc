// The cold HTTP client against our server and against raw answers that are wrong on purpose.
#include "common/http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tests/unit/common/http_test_support.h"

namespace ringway::http {
namespace {

using boost::asio::awaitable;
using boost::beast::http::status;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

awaitable<Response> Handle(const Request& request, const Peer&) {
  if (request.target() == "/base/slow") {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, 60s);
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
  Response response = MakeResponse(request, status::created, "text/plain", "");
  response.body() = std::string(request.method_string()) + " " + std::string(request.target()) + " " +
                    std::string(request["Host"]) + " " + std::string(request["X-Test"]) + " " + request.body();
  response.set("X-Answer", "yes");
  response.prepare_payload();
  co_return response;
}

// One listening socket that answers its only connection with fixed bytes and closes.
class RawAnswer {
 public:
  explicit RawAnswer(std::string answer) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 1), 0);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    url_.host = "127.0.0.1";
    url_.port = ntohs(address.sin_port);
    thread_ = std::thread([this, answer] {
      const int client = accept(fd_, nullptr, nullptr);
      char request[4096];
      (void)!recv(client, request, sizeof(request), 0);
      (void)!send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      close(client);
    });
  }
  ~RawAnswer() {
    thread_.join();
    close(fd_);
  }
  const Url& url() const { return url_; }

 private:
  int fd_;
  Url url_;
  std::thread thread_;
};

TEST(HttpClient, SendsWhatWasAskedAndReturnsTheAnswer) {
  RunningServer server({"test"}, Handle);
  Url url = server.url();
  url.base = "/base";
  ClientRequest request;
  request.method = "PUT";
  request.target = "/x?y=1";
  request.headers = {{"X-Test", "t"}};
  request.body = "payload";
  const auto response = FetchBlocking(url, request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->body, "PUT /base/x?y=1 127.0.0.1:" + std::to_string(server.port()) + " t payload");
  ASSERT_NE(response->Header("x-answer"), nullptr);
  EXPECT_EQ(*response->Header("x-answer"), "yes");
  EXPECT_EQ(response->Header("x-other"), nullptr);
}

TEST(HttpClient, AHostHeaderReplacesTheDerivedOneAndHeadHasNoBody) {
  RunningServer server({"test"}, Handle);
  ClientRequest request;
  request.headers = {{"host", "localhost"}};
  EXPECT_EQ(FetchBlocking(server.url(), request)->body, "GET / localhost  ");
  request.method = "HEAD";
  const auto head = FetchBlocking(server.url(), request);
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->status, 201);
  EXPECT_EQ(head->body, "");
}

TEST(HttpClient, ResolvesNames) {
  RunningServer server({"test"}, Handle);
  Url url = server.url();
  url.host = "localhost";
  const auto response = FetchBlocking(url, {});
  ASSERT_TRUE(response.ok()) << response.status();
  url.host = "no-such-host.invalid";
  const auto unknown = FetchBlocking(url, {});
  EXPECT_FALSE(unknown.ok());
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("no-such-host.invalid"));
}

TEST(HttpClient, TheTimeoutCoversAServerThatNeverAnswers) {
  RunningServer server({"test"}, Handle);
  Url url = server.url();
  url.base = "/base";
  ClientRequest request;
  request.target = "/slow";
  request.timeout = 30ms;
  const auto response = FetchBlocking(url, request);
  EXPECT_EQ(response.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(response.status().message()), HasSubstr("/base/slow"));
}

TEST(HttpClient, ARefusedConnectionIsUnavailableAndNamesTheUrl) {
  Url url;
  {
    RunningServer server({"test"}, Handle);
    url = server.url();
  }
  const auto response = FetchBlocking(url, {});
  EXPECT_EQ(response.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(response.status().message()), HasSubstr(url.HostHeader()));
}

TEST(HttpClient, ABrokenAnswerIsDataLoss) {
  for (const char* answer : {"", "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"}) {
    RawAnswer server(answer);
    EXPECT_EQ(FetchBlocking(server.url(), {}).status().code(), absl::StatusCode::kDataLoss) << answer;
  }
}

TEST(HttpClient, ABodyOverTheLimitIsRefused) {
  RawAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789");
  ClientRequest request;
  request.body_bytes_max = 9;
  const auto response = FetchBlocking(server.url(), request);
  EXPECT_EQ(response.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(response.status().message()), HasSubstr("exceeds 9 bytes"));
}

TEST(HttpClient, InterimResponsesAreSkippedAndABodyMayEndWithTheConnection) {
  RawAnswer server("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end");
  const auto response = FetchBlocking(server.url(), {});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "until the end");
}

}  // namespace
}  // namespace ringway::http
