// Listening sockets for the cold HTTP servers: "ADDRESS:PORT", "[V6]:PORT" or "unix:/path" become one acceptor type.
#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <string>

#include "absl/status/statusor.h"

namespace ringway::http {

using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol>;

// Bound and listening, or the reason with the address in it. A unix socket that nobody listens on is replaced; its mode
// is 0660. An IPv6 socket takes IPv6 only, so that [::] and 0.0.0.0 can stand side by side.
absl::StatusOr<Acceptor> OpenAcceptor(boost::asio::io_context& io, const std::string& bind);

// The same over a socket that listens already; takes `fd` over, also when it is not one (InvalidArgument).
absl::StatusOr<Acceptor> AdoptAcceptor(boost::asio::io_context& io, int fd);

// The port in host order, zero for a unix socket.
uint16_t PortOf(const boost::asio::generic::stream_protocol::endpoint& endpoint);
// The address as a literal, or "unix".
std::string AddressOf(const boost::asio::generic::stream_protocol::endpoint& endpoint);

}  // namespace ringway::http
