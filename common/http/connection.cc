// One connection of a cold HTTP server; see connection.h.
#include "common/http/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <utility>

#include "common/log/log.h"

namespace ringway::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using boost::system::error_code;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
// How long and how much a refused client may go on sending before the socket is closed under it.
constexpr std::chrono::milliseconds kLinger{2000};
constexpr size_t kLingerBytesMax = 64 << 20;
// With a pipelined request in the socket, readiness says nothing about a close; it is looked for this often.
constexpr std::chrono::milliseconds kPipelinedPoll{500};

enum class PeerState { kQuiet, kSent, kGone };

PeerState Look(int fd) {
  char byte;
  const ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n == 0) return PeerState::kGone;
  if (n < 0) return errno == EAGAIN || errno == EINTR ? PeerState::kQuiet : PeerState::kGone;
  pollfd p{fd, POLLRDHUP, 0};
  poll(&p, 1, 0);
  return (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0 ? PeerState::kGone : PeerState::kSent;
}

}  // namespace

Connection::Connection(asio::generic::stream_protocol::socket socket, std::string address,
                       std::shared_ptr<const ServerOptions> options,
                       std::shared_ptr<const Handler> handler)
    : stream_(std::move(socket)),
      buffer_(options->head_bytes_max + (64 << 10)),
      peer_{std::move(address), std::make_shared<bool>(false), std::make_shared<TakeOver>()},
      options_(std::move(options)),
      handler_(std::move(handler)) {}

asio::awaitable<void> Connection::Run() {
  try {
    co_await Serve();
  } catch (const std::exception& e) {
    // Close() cancels; anything else is a defect worth a line.
    if (!*peer_.gone) spdlog::error("{}: connection of {}: {}", options_->name, peer_.address, e.what());
  }
  error_code ignored;
  stream_.socket().shutdown(asio::socket_base::shutdown_both, ignored);
  stream_.socket().close(ignored);
}

void Connection::Close() {
  *peer_.gone = true;
  error_code ignored;
  stream_.socket().close(ignored);
  cancel_.emit(asio::cancellation_type::terminal);
}

asio::awaitable<void> Connection::Serve() {
  for (;;) {
    const bool go_on = co_await ServeOne();
    if (!go_on) co_return;
  }
}

asio::awaitable<bool> Connection::ServeOne() {
  bhttp::request_parser<bhttp::string_body> parser;
  parser.header_limit(static_cast<uint32_t>(options_->head_bytes_max));
  parser.body_limit(options_->body_bytes_max);
  stream_.expires_after(options_->idle_timeout);
  auto [error, size] = co_await bhttp::async_read_header(stream_, buffer_, parser, kNoThrow);
  if (!error && beast::iequals(parser.get()[bhttp::field::expect], "100-continue")) {
    bhttp::response<bhttp::empty_body> go_ahead(bhttp::status::continue_, 11);
    auto [write_error, written] = co_await bhttp::async_write(stream_, go_ahead, kNoThrow);
    if (write_error) co_return false;
  }
  if (!error && !parser.is_done()) {
    auto [body_error, body_size] = co_await bhttp::async_read(stream_, buffer_, parser, kNoThrow);
    error = body_error;
  }
  if (error) {
    if (error == bhttp::error::body_limit) {
      co_await RefuseAndClose(bhttp::status::payload_too_large, "the body is too large\n");
    } else if (error == bhttp::error::header_limit || error == bhttp::error::buffer_overflow) {
      co_await RefuseAndClose(bhttp::status::request_header_fields_too_large,
                              "the request head is too large\n");
    } else if (error.category() == bhttp::make_error_code(bhttp::error::end_of_stream).category() &&
               error != bhttp::error::end_of_stream && error != bhttp::error::partial_message) {
      co_await RefuseAndClose(bhttp::status::bad_request, "not an HTTP/1.1 request\n");
    }
    co_return false;
  }
  const Request request = parser.release();
  Response response = co_await Answer(request);
  if (response.result() == bhttp::status::switching_protocols) {
    co_await HandOver(std::move(response));
    co_return false;
  }
  const bool go_on = co_await Write(request, std::move(response));
  co_return go_on;
}

asio::awaitable<Response> Connection::Answer(const Request& request) {
  // The handler may wait for minutes: no time-out of ours runs, but we look out for the client's leaving.
  stream_.expires_never();
  auto answered = std::make_shared<bool>(false);
  asio::co_spawn(stream_.get_executor(), WatchPeer(answered), asio::detached);
  std::string failure;
  try {
    Response response = co_await (*handler_)(request, peer_);
    *answered = true;
    error_code ignored;
    stream_.socket().cancel(ignored);
    co_return response;
  } catch (const std::exception& e) {
    failure = e.what();
  }
  *answered = true;
  error_code ignored;
  stream_.socket().cancel(ignored);
  if (!*peer_.gone) {
    spdlog::error("{}: handler of {} {} failed: {}", options_->name,
                  std::string(request.method_string()), std::string(request.target()), failure);
  }
  co_return MakeResponse(request, bhttp::status::internal_server_error, "text/plain; charset=utf-8",
                         "internal error\n");
}

// Runs beside the handler. A client that has shut down its sending side counts as gone: nobody who waits for an answer of
// ours does that.
asio::awaitable<void> Connection::WatchPeer(std::shared_ptr<bool> answered) {
  const auto self = shared_from_this();
  while (!*answered && stream_.socket().is_open()) {
    const PeerState state = Look(stream_.socket().native_handle());
    if (state == PeerState::kGone) {
      *peer_.gone = true;
      co_return;
    }
    if (state == PeerState::kQuiet) {
      auto [error] =
          co_await stream_.socket().async_wait(asio::socket_base::wait_read, kNoThrow);
      if (error) co_return;
    } else {
      asio::steady_timer timer(stream_.get_executor(), kPipelinedPoll);
      co_await timer.async_wait(kNoThrow);
    }
  }
}

asio::awaitable<bool> Connection::Write(const Request& request, Response response) {
  response.version(request.version());
  response.keep_alive(request.keep_alive() && response.keep_alive());
  const bool keep_alive = response.keep_alive();
  stream_.expires_after(options_->idle_timeout);
  error_code error;
  if (request.method() == bhttp::verb::head) {
    if (!response.has_content_length()) response.content_length(response.body().size());
    bhttp::response<bhttp::empty_body> head(std::move(response.base()));
    bhttp::response_serializer<bhttp::empty_body> serializer(head);
    auto [write_error, size] = co_await bhttp::async_write_header(stream_, serializer, kNoThrow);
    error = write_error;
  } else {
    response.prepare_payload();
    auto [write_error, size] = co_await bhttp::async_write(stream_, response, kNoThrow);
    error = write_error;
  }
  co_return !error && keep_alive;
}

// Bytes that came behind the request are dropped: what is switched to must not mind.
asio::awaitable<void> Connection::HandOver(Response response) {
  response.erase(bhttp::field::content_length);
  bhttp::response<bhttp::empty_body> head(std::move(response.base()));
  stream_.expires_after(options_->idle_timeout);
  auto [error, size] = co_await bhttp::async_write(stream_, head, kNoThrow);
  stream_.expires_never();
  const TakeOver take_over = std::exchange(*peer_.take_over, nullptr);
  if (!error && take_over) take_over(stream_.release_socket());
}

// The client may still be sending what we refuse: closing at once would reset the connection and take the answer with it.
asio::awaitable<void> Connection::RefuseAndClose(bhttp::status status, std::string text) {
  Request request;
  request.version(11);
  Response response = MakeResponse(request, status, "text/plain; charset=utf-8", std::move(text));
  response.keep_alive(false);
  co_await Write(request, std::move(response));
  error_code ignored;
  stream_.socket().shutdown(asio::socket_base::shutdown_send, ignored);
  stream_.expires_after(kLinger);
  std::string discarded(16 << 10, '\0');
  size_t total = 0;
  while (total < kLingerBytesMax) {
    auto [error, size] = co_await stream_.async_read_some(asio::buffer(discarded), kNoThrow);
    if (error) co_return;
    total += size;
  }
}

}  // namespace ringway::http
