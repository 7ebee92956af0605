// One connection to the control plane: a queue of frames in front of the socket, and the reporter's memory. Used by
// FeedClient only.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/api/feed_frame.h"
#include "common/api/feed_json.h"
#include "dataplane/feed/feed_client.h"

namespace ringway::dp {

struct FeedClient::Connection : std::enable_shared_from_this<FeedClient::Connection> {
  explicit Connection(boost::asio::io_context& io) : socket(io), report_timer(io) {}

  boost::asio::local::stream_protocol::socket socket;
  boost::asio::steady_timer report_timer;
  std::deque<std::string> outbox;
  bool reported = false;
  bool report_waits = false;  // for news only, not for the next 50 ms
  std::vector<api::InFlight> last_report;
  uint64_t ejections_reported = 0;  // EjectionWatch::changes() at the last report

  void Send(const api::Message& message) {
    outbox.push_back(api::Frame(api::EncodeMessage(message)));
    if (outbox.size() > 1) return;  // the writer runs
    boost::asio::co_spawn(socket.get_executor(), WriteLoop(shared_from_this()), boost::asio::detached);
  }

  void Close() {
    boost::system::error_code ignored;
    socket.close(ignored);
    report_timer.cancel();
  }

 private:
  static boost::asio::awaitable<void> WriteLoop(std::shared_ptr<Connection> self) {
    while (!self->outbox.empty()) {
      auto [error, size] = co_await boost::asio::async_write(
          self->socket, boost::asio::buffer(self->outbox.front()),
          boost::asio::as_tuple(boost::asio::use_awaitable));
      if (error) {
        self->Close();  // the reader then ends the session
        co_return;
      }
      self->outbox.pop_front();
    }
  }
};

}  // namespace ringway::dp
