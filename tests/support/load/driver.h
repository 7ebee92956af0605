// Issues requests by the clock, whatever the answers do (open loop), over a fixed set of keep-alive connections and,
// where a job says so, a connection of its own. One io_context, one thread.
#pragma once

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>

#include "tests/support/load/options.h"
#include "tests/support/load/report.h"
#include "tests/support/load/workload.h"

namespace ringway::load {

class Driver {
 public:
  Driver(boost::asio::io_context& io, const Options& options, Workload& workload, Report& report);

  // Ends when the duration is over or Stop() was called, and every request issued has ended.
  boost::asio::awaitable<void> Run();
  void Stop() { stopping_ = true; }

 private:
  struct Connection {
    explicit Connection(boost::asio::io_context& io) : socket(io) {}
    boost::asio::ip::tcp::socket socket;
    bool used = false;  // has carried an answered request
    std::array<char, 64 << 10> buffer;
  };
  enum class Verdict { kEnded, kRace };

  boost::asio::awaitable<void> Issue();
  boost::asio::awaitable<void> ServeQueue();           // one keep-alive connection's life
  boost::asio::awaitable<void> ServeAlone(Job job);    // a connection for one request
  boost::asio::awaitable<void> Serve(Connection& connection, const Job& job);
  boost::asio::awaitable<Verdict> Attempt(Connection& connection, const Job& job, Outcome& outcome);
  boost::asio::awaitable<bool> Connect(Connection& connection, Outcome& outcome);
  boost::asio::awaitable<Verdict> ReadResponse(Connection& connection, const Job& job, Outcome& outcome);
  void DropIfClosed(Connection& connection);
  void Enqueue(Job job);
  boost::asio::awaitable<bool> WaitForJob();  // false: no more will come

  boost::asio::io_context& io_;
  const Options& options_;
  Workload& workload_;
  Report& report_;
  boost::asio::ip::tcp::resolver::results_type addresses_;
  bool stopping_ = false;
  bool all_issued_ = false;
  size_t alone_ = 0;
  std::deque<Job> queue_;
  std::deque<boost::asio::steady_timer*> idle_;  // of connections that wait, the longest first
};

}  // namespace ringway::load
