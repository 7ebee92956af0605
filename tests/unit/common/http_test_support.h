// A server on a free port or a temporary unix socket, its io_context on a thread of its own, and raw sockets to poke it.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <string>
#include <thread>

#include "common/http/client.h"
#include "common/http/server.h"

namespace ringway::http {

class RunningServer {
 public:
  RunningServer(ServerOptions options, Handler handler, const std::string& bind = "127.0.0.1:0") {
    auto listening = Server::Listen(io_, bind, std::move(options), std::move(handler));
    if (!listening.ok()) {
      ADD_FAILURE() << listening.status();
      std::abort();
    }
    server_ = *std::move(listening);
    port_ = server_->port();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~RunningServer() {
    boost::asio::post(io_, [this] { server_.reset(); });
    guard_.reset();
    thread_.join();  // returns only when every coroutine has ended: a leak hangs the test
  }
  uint16_t port() const { return port_; }
  Url url() const {
    Url url;
    url.host = "127.0.0.1";
    url.port = port_;
    return url;
  }
  size_t connections() {
    std::promise<size_t> count;
    boost::asio::post(io_, [&] { count.set_value(server_->connections()); });
    return count.get_future().get();
  }
  void Close() {
    std::promise<void> done;
    boost::asio::post(io_, [&] { server_->Close(); done.set_value(); });
    done.get_future().get();
  }

 private:
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{io_.get_executor()};
  std::unique_ptr<Server> server_;
  uint16_t port_ = 0;
  std::thread thread_;
};

class RawSocket {
 public:
  explicit RawSocket(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    timeval timeout{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  }
  ~RawSocket() { Close(); }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  void Send(const std::string& bytes) {
    // A refusing server may close early: how much got through is no matter here.
    (void)!send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // Everything until the other side closes, or until `text` has been seen.
  std::string ReceiveUntil(const std::string& text) {
    char chunk[4096];
    while (text.empty() || received_.find(text) == received_.npos) {
      const ssize_t n = recv(fd_, chunk, sizeof(chunk), 0);
      if (n <= 0) break;
      received_.append(chunk, static_cast<size_t>(n));
    }
    return received_;
  }
  std::string ReceiveAll() { return ReceiveUntil(""); }

 private:
  int fd_;
  std::string received_;
};

}  // namespace ringway::http
