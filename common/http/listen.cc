// Listening sockets; see listen.h.
#include "common/http/listen.h"

#include <arpa/inet.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ringway::http {
namespace {

namespace asio = boost::asio;
using Endpoint = asio::generic::stream_protocol::endpoint;
using boost::system::error_code;

constexpr std::string_view kUnixPrefix = "unix:";
constexpr mode_t kUnixMode = 0660;

absl::StatusOr<Endpoint> ParseBind(const std::string& bind) {
  if (bind.starts_with(kUnixPrefix)) {
    const std::string path = bind.substr(kUnixPrefix.size());
    if (path.empty() || path.size() >= sizeof(sockaddr_un{}.sun_path)) {
      return absl::InvalidArgumentError(
          absl::StrCat(bind, ": wanted a path of 1 to ", sizeof(sockaddr_un{}.sun_path) - 1, " bytes"));
    }
    return Endpoint(asio::local::stream_protocol::endpoint(path));
  }
  const size_t colon = bind.rfind(':');
  int port = -1;
  if (colon == bind.npos || !absl::SimpleAtoi(bind.substr(colon + 1), &port) || port < 0 ||
      port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(bind, ": wanted ADDRESS:PORT or unix:/path"));
  }
  std::string host = bind.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  error_code error;
  const asio::ip::address address = asio::ip::make_address(host, error);
  if (error || address.is_v6() != bracketed) {
    return absl::InvalidArgumentError(
        absl::StrCat(bind, ": wanted an IPv4 address or an IPv6 address in brackets"));
  }
  return Endpoint(asio::ip::tcp::endpoint(address, static_cast<uint16_t>(port)));
}

// A socket file left by a process that died refuses connections; one in use is left alone, and bind() then says so.
void RemoveStaleSocket(const Endpoint& endpoint) {
  const auto* address = reinterpret_cast<const sockaddr_un*>(endpoint.data());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  const int result = connect(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size()));
  if (result != 0 && errno == ECONNREFUSED) unlink(address->sun_path);
  close(fd);
}

absl::Status ErrorAt(const std::string& bind, std::string_view what, const error_code& error) {
  const std::string message =
      absl::StrCat("cannot ", std::string(what), " ", bind, ": ", error.message());
  if (error.value() == EACCES || error.value() == EPERM) {
    return absl::PermissionDeniedError(message);
  }
  return absl::UnavailableError(message);
}

}  // namespace

absl::StatusOr<Acceptor> OpenAcceptor(asio::io_context& io, const std::string& bind) {
  absl::StatusOr<Endpoint> endpoint = ParseBind(bind);
  if (!endpoint.ok()) return endpoint.status();
  const int family = endpoint->data()->sa_family;
  Acceptor acceptor(io);
  error_code error;
  acceptor.open(endpoint->protocol(), error);
  if (error) return ErrorAt(bind, "open a socket for", error);
  if (family == AF_UNIX) {
    RemoveStaleSocket(*endpoint);
  } else {
    acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (family == AF_INET6) acceptor.set_option(asio::ip::v6_only(true), error);
  }
  acceptor.bind(*endpoint, error);
  if (error) return ErrorAt(bind, "bind", error);
  if (family == AF_UNIX) {
    const char* path = reinterpret_cast<const sockaddr_un*>(endpoint->data())->sun_path;
    if (chmod(path, kUnixMode) != 0) {
      return ErrorAt(bind, "set the mode of", error_code(errno, boost::system::system_category()));
    }
  }
  acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return ErrorAt(bind, "listen on", error);
  return acceptor;
}

absl::StatusOr<Acceptor> AdoptAcceptor(asio::io_context& io, int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  int listens = 0;
  socklen_t listens_size = sizeof(listens);
  Acceptor acceptor(io);
  error_code error;
  const bool good = getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
                    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size) == 0 && listens != 0;
  if (good) acceptor.assign(asio::generic::stream_protocol(address.ss_family, 0), fd, error);
  if (good && !error) return acceptor;
  close(fd);
  return absl::InvalidArgumentError("wanted a socket that listens");
}

uint16_t PortOf(const Endpoint& endpoint) {
  switch (endpoint.data()->sa_family) {
    case AF_INET: return ntohs(reinterpret_cast<const sockaddr_in*>(endpoint.data())->sin_port);
    case AF_INET6: return ntohs(reinterpret_cast<const sockaddr_in6*>(endpoint.data())->sin6_port);
    default: return 0;
  }
}

std::string AddressOf(const Endpoint& endpoint) {
  const sockaddr* address = endpoint.data();
  char text[INET6_ADDRSTRLEN] = "";
  if (address->sa_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof(text));
    return text;
  }
  if (address->sa_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text,
              sizeof(text));
    return text;
  }
  return "unix";
}

}  // namespace ringway::http
