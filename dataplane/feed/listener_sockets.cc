// Listening sockets for the workers; see listener_sockets.h.
#include "dataplane/feed/listener_sockets.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dataplane/feed/address.h"

namespace ringway::dp {
namespace {

absl::Status Failed(const IpAddress& address, const char* step) {
  const int error = errno;
  std::string hint;
  if (error == EACCES && address.port < 1024) {
    hint = " (ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE)";
  }
  return absl::UnavailableError(absl::StrCat("cannot listen on ", SpellAddress(address), ": ", step,
                                             ": ", std::strerror(error), hint));
}

bool SetOn(int fd, int level, int option) {
  const int on = 1;
  return setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

absl::StatusOr<UniqueFd> BindOne(const IpAddress& address) {
  UniqueFd fd(socket(address.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return Failed(address, "socket");
  if (!SetOn(fd.get(), SOL_SOCKET, SO_REUSEADDR) || !SetOn(fd.get(), SOL_SOCKET, SO_REUSEPORT)) {
    return Failed(address, "SO_REUSEPORT");
  }
  if (address.v6 && !SetOn(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY)) return Failed(address, "IPV6_V6ONLY");
  sockaddr_storage storage;
  const socklen_t size = ToSockaddr(address, storage);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) return Failed(address, "bind");
  return fd;
}

absl::StatusOr<UniqueFd> OpenOne(const IpAddress& address) {
  absl::StatusOr<UniqueFd> bound = BindOne(address);
  if (!bound.ok()) return bound;
  UniqueFd& fd = *bound;
  if (listen(fd.get(), kBacklog) != 0) return Failed(address, "listen");
  return bound;
}

}  // namespace

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<UniqueFd> ReservePort(const IpAddress& address) { return BindOne(address); }

bool OthersListen(const IpAddress& address) {
  if (address.port == 0) return false;
  const UniqueFd fd(socket(address.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0 || !SetOn(fd.get(), SOL_SOCKET, SO_REUSEADDR)) return false;
  if (address.v6 && !SetOn(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY)) return false;
  sockaddr_storage storage;
  const socklen_t size = ToSockaddr(address, storage);
  return bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0 && errno == EADDRINUSE;
}

void SetDeferAccept(int fd, bool on) {
  const int seconds = on ? 1 : 0;
  setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
}

IpAddress LocalAddress(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  return FromSockaddr(storage);
}

absl::StatusOr<std::vector<UniqueFd>> OpenListenerSockets(const IpAddress& wanted, uint32_t count) {
  IpAddress address = wanted;
  std::vector<UniqueFd> sockets;
  for (uint32_t i = 0; i < count; ++i) {
    absl::StatusOr<UniqueFd> fd = OpenOne(address);
    if (!fd.ok()) return fd.status();
    address.port = LocalAddress(fd->get()).port;
    sockets.push_back(*std::move(fd));
  }
  return sockets;
}

}  // namespace ringway::dp
