// A small HTTP/1.1 server for everything off the request path: stats, catalog API, admin socket. One io_context thread;
// each connection is a coroutine; handlers are coroutines and may wait (blocking queries).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace ringway::http {

using Request = boost::beast::http::request<boost::beast::http::string_body>;
using Response = boost::beast::http::response<boost::beast::http::string_body>;

using Socket = boost::asio::generic::stream_protocol::socket;
// Gets the socket of a request that was answered with 101. From then on the server neither counts nor closes it.
using TakeOver = std::function<void(Socket socket)>;

// What a handler may know of the connection it answers.
struct Peer {
  std::string address;              // literal, or "unix"
  std::shared_ptr<bool> gone;       // becomes true when the client has closed while the handler waits
  std::shared_ptr<TakeOver> take_over;  // set by a handler that answers 101: called when that is written
};
using Handler = std::function<boost::asio::awaitable<Response>(const Request&, const Peer&)>;

struct ServerOptions {
  std::string name;                                // in log lines: "stats", "catalog"
  size_t connections_max = 1024;                   // further ones are closed and counted, logged once a minute
  size_t body_bytes_max = 1 << 20;                 // 413 beyond
  size_t head_bytes_max = 64 << 10;                // 431 beyond
  std::chrono::milliseconds idle_timeout{75000};   // between requests, and for one request to arrive whole
};

class Server {
 public:
  // `bind`: "ADDRESS:PORT", "[V6]:PORT" or "unix:/path". Listens before it returns: errors come back here (address in use,
  // permission), saying which address. Port 0 takes a free one, see port(). Must be destroyed on the io_context's thread.
  static absl::StatusOr<std::unique_ptr<Server>> Listen(boost::asio::io_context& io, const std::string& bind, ServerOptions options,
                                                        Handler handler);
  // As Listen, on a socket that listens already (another process opened it). Takes `fd` over.
  static absl::StatusOr<std::unique_ptr<Server>> Adopt(boost::asio::io_context& io, int fd, ServerOptions options, Handler handler);
  virtual ~Server() = default;
  virtual uint16_t port() const = 0;
  virtual size_t connections() const = 0;
  virtual int listening_fd() const = 0;  // -1 when closed
  // Closes the listening socket; what was accepted is served.
  virtual void StopAccepting() = 0;
  // Stops accepting and closes every connection.
  virtual void Close() = 0;
};

// Response with status, content type and body; Content-Length set. 
Response MakeResponse(const Request& request, boost::beast::http::status status, std::string_view content_type, std::string body);

// Path without query, percent-decoded per segment; and the query's pairs, decoded, in order.
struct Target {
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;
  const std::string* Find(std::string_view key) const;  // first value, or null
};
Target ParseTarget(std::string_view target);

// True when `request` carries this user and password as Basic authentication (constant-time compare). RFC 7617.
bool BasicAuthMatches(const Request& request, std::string_view user, std::string_view password);

}  // namespace ringway::http
