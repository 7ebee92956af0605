#include "tests/support/load/driver.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace ringway::load {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr size_t kAloneMax = 4096;

// Closes `socket` at `when`, unless it is destroyed before.
class Deadline {
 public:
  Deadline(asio::io_context& io, asio::ip::tcp::socket& socket, std::chrono::steady_clock::time_point when)
      : timer_(io, when), state_(std::make_shared<State>()) {
    timer_.async_wait([&socket, state = state_](error_code error) {
      if (error || state->over) return;
      state->fired = true;
      error_code ignored;
      socket.close(ignored);
    });
  }
  ~Deadline() { state_->over = true; }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  bool fired() const { return state_->fired; }

 private:
  struct State {
    bool over = false;
    bool fired = false;
  };
  asio::steady_timer timer_;
  std::shared_ptr<State> state_;
};

void Close(asio::ip::tcp::socket& socket) {
  error_code ignored;
  socket.close(ignored);
}

void Fail(Outcome& outcome, std::string failure, std::string detail) {
  outcome.failure = std::move(failure);
  outcome.detail = std::move(detail);
}

}  // namespace

Driver::Driver(asio::io_context& io, const Options& options, Workload& workload, Report& report)
    : io_(io), options_(options), workload_(workload), report_(report) {}

asio::awaitable<void> Driver::Run() {
  asio::ip::tcp::resolver resolver(io_);
  addresses_ = co_await resolver.async_resolve(options_.host, options_.port, asio::use_awaitable);
  report_.Begin();
  for (size_t i = 0; i < options_.connections; ++i) asio::co_spawn(io_, ServeQueue(), asio::detached);
  co_await Issue();
  all_issued_ = true;
  for (asio::steady_timer* timer : idle_) timer->cancel();
  asio::steady_timer timer(io_);
  while (report_.ended() < report_.issued()) {
    timer.expires_after(std::chrono::milliseconds(5));
    co_await timer.async_wait(asio::use_awaitable);
  }
}

asio::awaitable<void> Driver::Issue() {
  asio::steady_timer timer(io_);
  const auto begin = std::chrono::steady_clock::now();
  const std::chrono::duration<double> interval(static_cast<double>(options_.burst) / options_.rate);
  std::chrono::steady_clock::time_point intended;
  for (uint64_t i = 0; !stopping_; ++i) {
    if (i % options_.burst == 0) {
      const auto clock = begin + std::chrono::duration_cast<std::chrono::nanoseconds>(interval * static_cast<double>(i / options_.burst));
      if (!options_.until_signal && clock - begin >= options_.duration) co_return;
      intended = clock + workload_.Delay();
    }
    while (!stopping_ && std::chrono::steady_clock::now() < intended) {
      timer.expires_at(std::min(intended, std::chrono::steady_clock::now() + std::chrono::milliseconds(50)));
      co_await timer.async_wait(asio::use_awaitable);
    }
    if (stopping_) co_return;
    Job job = workload_.Next(intended);
    report_.Issued(job);
    if (!job.new_connection) {
      Enqueue(std::move(job));
    } else if (alone_ < kAloneMax) {
      ++alone_;
      asio::co_spawn(io_, ServeAlone(std::move(job)), asio::detached);
    } else {
      Outcome outcome;
      outcome.sent_at = std::chrono::steady_clock::now();
      Fail(outcome, "client_limit", "too many connections of their own are open");
      report_.Ended(job, outcome);
    }
  }
}

void Driver::Enqueue(Job job) {
  queue_.push_back(std::move(job));
  if (idle_.empty()) return;
  idle_.front()->cancel();
  idle_.pop_front();
}

asio::awaitable<bool> Driver::WaitForJob() {
  asio::steady_timer timer(io_);
  while (queue_.empty()) {
    if (all_issued_) co_return false;
    timer.expires_at(std::chrono::steady_clock::time_point::max());
    idle_.push_back(&timer);
    error_code woken;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
  }
  co_return true;
}

asio::awaitable<void> Driver::ServeQueue() {
  auto connection = std::make_unique<Connection>(io_);
  while (co_await WaitForJob()) {
    const Job job = std::move(queue_.front());
    queue_.pop_front();
    co_await Serve(*connection, job);
  }
}

asio::awaitable<void> Driver::ServeAlone(Job job) {
  auto connection = std::make_unique<Connection>(io_);
  co_await Serve(*connection, job);
  --alone_;
}

asio::awaitable<void> Driver::Serve(Connection& connection, const Job& job) {
  Outcome outcome;
  const Deadline deadline(io_, connection.socket, job.intended + options_.timeout);
  DropIfClosed(connection);
  Verdict verdict = co_await Attempt(connection, job, outcome);
  if (verdict == Verdict::kRace && !deadline.fired()) {
    report_.KeepAliveRace(job);
    ++outcome.races;
    Close(connection.socket);
    verdict = co_await Attempt(connection, job, outcome);
  }
  if (deadline.fired()) Fail(outcome, "timeout", outcome.detail);
  if (!outcome.failure.empty() || job.new_connection) Close(connection.socket);
  report_.Ended(job, outcome);
}

// Between requests the server may close: seen here, or by the next attempt when it comes at the same moment.
void Driver::DropIfClosed(Connection& connection) {
  if (!connection.socket.is_open()) return;
  char byte = 0;
  const ssize_t got = recv(connection.socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
  report_.ClosedWhileIdle();
  Close(connection.socket);
}

asio::awaitable<bool> Driver::Connect(Connection& connection, Outcome& outcome) {
  error_code error;
  connection.used = false;
  co_await asio::async_connect(connection.socket, addresses_, asio::redirect_error(asio::use_awaitable, error));
  if (error) {
    Fail(outcome, error == asio::error::connection_refused ? "connect_refused" : "connect_failed", error.message());
    Close(connection.socket);
    co_return false;
  }
  report_.ConnectionOpened();
  connection.socket.set_option(asio::ip::tcp::no_delay(true), error);
  co_return true;
}

asio::awaitable<Driver::Verdict> Driver::Attempt(Connection& connection, const Job& job, Outcome& outcome) {
  outcome.sent_at = std::chrono::steady_clock::now();
  if (!connection.socket.is_open()) {
    const bool connected = co_await Connect(connection, outcome);
    if (!connected) co_return Verdict::kEnded;
  }
  const std::string head = workload_.Head(job);
  const std::array<asio::const_buffer, 2> buffers{asio::buffer(head), asio::buffer(job.body)};
  error_code error;
  const size_t sent = co_await asio::async_write(connection.socket, buffers, asio::redirect_error(asio::use_awaitable, error));
  outcome.bytes_sent += sent;
  // A server that refuses early answers and closes while the body is still being sent: the answer counts.
  co_return co_await ReadResponse(connection, job, outcome);
}

asio::awaitable<Driver::Verdict> Driver::ReadResponse(Connection& connection, const Job& job, Outcome& outcome) {
  ResponseReader reader;
  while (!reader.done()) {
    error_code error;
    const size_t got =
        co_await connection.socket.async_read_some(asio::buffer(connection.buffer), asio::redirect_error(asio::use_awaitable, error));
    outcome.bytes_received += got;
    if (error) {
      if (!reader.started() && connection.used) co_return Verdict::kRace;
      if (error == asio::error::eof && reader.OnClosed()) break;
      const std::string seen = " after " + std::to_string(reader.bytes()) + " bytes, status " + std::to_string(reader.status());
      if (reader.started() && reader.status() != 0) {
        if (const std::string* name = reader.Header(options_.endpoint_header)) outcome.endpoint = *name;
        outcome.status = reader.status();
        Fail(outcome, "short_body", error.message() + seen);
      } else {
        Fail(outcome, error == asio::error::eof ? "closed" : "reset", error.message() + seen);
      }
      co_return Verdict::kEnded;
    }
    if (!reader.Append(std::string_view(connection.buffer.data(), got))) {
      Fail(outcome, "bad_response", reader.problem());
      co_return Verdict::kEnded;
    }
  }
  outcome.status = reader.status();
  if (const std::string* name = reader.Header(options_.endpoint_header)) outcome.endpoint = *name;
  if (const std::string* seconds = reader.Header("retry-after")) outcome.retry_after = *seconds;
  if (const auto mismatch = Compare(job, reader)) Fail(outcome, std::string(mismatch->kind), mismatch->detail);
  connection.used = true;
  if (!reader.keep_alive()) Close(connection.socket);
  co_return Verdict::kEnded;
}

}  // namespace ringway::load
