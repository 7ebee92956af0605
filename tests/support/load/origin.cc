// ringway-origin: a light web server for tests that need hundreds of endpoints: one process answers for every address of its
// port (listen on 0.0.0.0 and any 127.x.y.z reaches it) and tells which one was asked in X-Served-By. It speaks what
// ringway-load checks, as deploy/web/html does: / , /echo.php (length and digest of the body), /big.php?bytes=N,
// /slow.php?ms=N. With --log it notes each request it has acted on, "X-Load-Id METHOD address", before it answers.
// No part of the product. One thread, one coroutine a connection.
#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

#include "tests/support/load/digest.h"

namespace ringway::load {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

constexpr uint64_t kBodyBytesMax = 64 << 20;

std::string Sha256(std::string_view bytes) {
  Digest digest;
  digest.Update(bytes);
  return digest.Hex();
}

// The number behind `key` in a target, 0 when there is none.
uint64_t Number(std::string_view target, std::string_view key) {
  const size_t at = target.find(key);
  uint64_t number = 0;
  if (at != std::string_view::npos) std::from_chars(target.data() + at + key.size(), target.data() + target.size(), number);
  return number;
}

class Origin {
 public:
  Origin(asio::io_context& io, const std::string& log_path) : io_(io) {
    if (!log_path.empty()) log_.open(log_path, std::ios::app);
  }

  asio::awaitable<void> Listen(asio::ip::tcp::endpoint where) {
    asio::ip::tcp::acceptor acceptor(io_, where.protocol());
    acceptor.set_option(asio::socket_base::reuse_address(true));
    acceptor.bind(where);
    acceptor.listen(4096);
    for (;;) {
      error_code error;
      auto socket = std::make_unique<asio::ip::tcp::socket>(io_);
      co_await acceptor.async_accept(*socket, asio::redirect_error(asio::use_awaitable, error));
      if (!error) asio::co_spawn(io_, Serve(std::move(socket)), asio::detached);
    }
  }

 private:
  asio::awaitable<void> Serve(std::unique_ptr<asio::ip::tcp::socket> socket) {
    error_code error;
    const auto local = socket->local_endpoint(error);
    if (error) co_return;
    const std::string name = local.address().to_string() + ":" + std::to_string(local.port());
    socket->set_option(asio::ip::tcp::no_delay(true), error);
    boost::beast::flat_buffer buffer;
    for (bool more = true; more;) {
      http::request_parser<http::string_body> parser;
      parser.body_limit(kBodyBytesMax);
      co_await http::async_read(*socket, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
      if (error) break;
      const Request request = parser.release();
      const std::string_view target(request.target().data(), request.target().size());
      if (const uint64_t ms = Number(target, "ms="); ms > 0) {
        asio::steady_timer timer(io_, std::chrono::milliseconds(ms));
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
      }
      Note(request, name);
      Response response = Answer(request, target, name);
      co_await http::async_write(*socket, response, asio::redirect_error(asio::use_awaitable, error));
      more = !error && request.keep_alive();
    }
    socket->shutdown(asio::socket_base::shutdown_both, error);
  }

  void Note(const Request& request, const std::string& name) {
    if (!log_.is_open()) return;
    log_ << request["X-Load-Id"] << ' ' << request.method_string() << ' ' << name << std::endl;
  }

  static Response Answer(const Request& request, std::string_view target, const std::string& name) {
    Response response{http::status::ok, request.version()};
    response.keep_alive(request.keep_alive());
    response.set("X-Served-By", name);
    if (target.starts_with("/big")) {
      response.body().assign(Number(target, "bytes="), 'x');
    } else {
      response.body() = "answered by " + name + "\n";
    }
    if (target.starts_with("/echo")) {
      response.set("X-Body-Length", std::to_string(request.body().size()));
      response.set("X-Body-SHA256", Sha256(request.body()));
    }
    response.set("X-Content-SHA256", Sha256(response.body()));
    response.prepare_payload();
    if (request.method() == http::verb::head) response.body().clear();
    return response;
  }

  asio::io_context& io_;
  std::ofstream log_;
};

int Main(int argc, char** argv) {
  CLI::App app{"A light web server for tests; answers for every address of its port."};
  std::string address = "0.0.0.0", log_path;
  uint16_t port = 0;
  app.add_option("--address", address, "IP literal to listen on; 0.0.0.0 is every one");
  app.add_option("--port", port)->required();
  app.add_option("--log", log_path, "where each request acted on is noted");
  CLI11_PARSE(app, argc, argv);
  asio::io_context io(1);
  asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](error_code, int) { io.stop(); });
  Origin origin(io, log_path);
  int status = 0;
  asio::co_spawn(io, origin.Listen({asio::ip::make_address(address), port}), [&](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      std::cerr << "ringway-origin: " << address << ":" << port << ": " << error.what() << "\n";
    }
    status = 1;
    io.stop();
  });
  io.run();
  return status;
}

}  // namespace
}  // namespace ringway::load

int main(int argc, char** argv) { return ringway::load::Main(argc, argv); }
