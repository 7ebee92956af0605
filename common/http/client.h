// An HTTP/1.1 client for cold paths: registration, health checks, blocking queries. Coroutines on one io_context.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace ringway::http {

// Where to connect: "http://HOST[:PORT][/base]" or "unix:/path"; "https://" only for those who have TLS (tls_client.h).
struct Url {
  std::string host;      // as given; IPv6 without brackets; empty for unix
  uint16_t port = 80;
  std::string base;      // path prefix without trailing slash, often empty
  std::string unix_path;
  bool tls = false;
  std::string HostHeader() const;
};
absl::StatusOr<Url> ParseUrl(std::string_view text);        // refuses https://
absl::StatusOr<Url> ParseUrlOrTls(std::string_view text);   // the same with https://, port 443 unless given

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";
  std::vector<std::pair<std::string, std::string>> headers;  // a "Host" here replaces the derived one
  std::string body;
  std::chrono::milliseconds timeout{5000};  // connect + send + whole response
  std::chrono::milliseconds connect_timeout{5000};  // channels: name, connect and TLS handshake
  std::chrono::milliseconds idle_timeout{0};        // a response that has begun does not pause for longer; 0: no such limit
  size_t body_bytes_max = 64u << 20;
  bool resend = true;  // channels: once more on a new connection when a kept one ended without a byte of an answer
};
struct ClientResponse {
  int status = 0;
  std::string reason;  // as received, may be empty
  std::vector<std::pair<std::string, std::string>> headers;  // names as received
  std::string body;
  const std::string* Header(std::string_view name) const;  // case-insensitive, first
};

// One request on a connection of its own. Unavailable: cannot connect; DeadlineExceeded: timeout; DataLoss: not HTTP or cut short.
// The message names the URL. Cancellation through Asio's slots closes the connection.
boost::asio::awaitable<absl::StatusOr<ClientResponse>> Fetch(Url url, ClientRequest request);

// Is this errno of a connect about ourselves (no file, port or memory left) rather than about the peer? Fetch answers
// ResourceExhausted then.
bool IsOwnShortage(int error);

// The same for programs without an event loop (the command line).
absl::StatusOr<ClientResponse> FetchBlocking(const Url& url, const ClientRequest& request);

}  // namespace ringway::http
