// One connection of a cold HTTP server: reads requests, waits for the handler, writes responses, until either side has
// enough. Lives on the server's io_context thread, held by its own coroutine and known to the server for Close().
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <memory>

#include "common/http/server.h"

namespace ringway::http {

using Stream = boost::beast::basic_stream<boost::asio::generic::stream_protocol>;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::generic::stream_protocol::socket socket, std::string address,
             std::shared_ptr<const ServerOptions> options, std::shared_ptr<const Handler> handler);

  // Ends when the connection does. Never throws.
  boost::asio::awaitable<void> Run();
  // Marks the peer gone and closes the socket; a waiting handler is cancelled.
  void Close();
  boost::asio::cancellation_slot cancel_slot() { return cancel_.slot(); }

 private:
  boost::asio::awaitable<void> Serve();
  boost::asio::awaitable<bool> ServeOne();  // false: the connection ends
  boost::asio::awaitable<Response> Answer(const Request& request);
  boost::asio::awaitable<void> WatchPeer(std::shared_ptr<bool> answered);
  boost::asio::awaitable<bool> Write(const Request& request, Response response);
  boost::asio::awaitable<void> HandOver(Response response);
  boost::asio::awaitable<void> RefuseAndClose(boost::beast::http::status status, std::string text);

  Stream stream_;
  boost::beast::flat_buffer buffer_;
  Peer peer_;
  const std::shared_ptr<const ServerOptions> options_;
  const std::shared_ptr<const Handler> handler_;
  boost::asio::cancellation_signal cancel_;
};

}  // namespace ringway::http
