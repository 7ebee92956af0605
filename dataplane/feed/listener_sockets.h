// Listening sockets for the workers: one each per listener, SO_REUSEPORT, so that the kernel spreads connections and no worker
// waits for another. Opened here, on the main thread; closed by the worker that got them, or here when a snapshot is refused.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/core/ip_address.h"

namespace ringway::dp {

class UniqueFd {
 public:
  explicit UniqueFd(int fd = -1) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd();
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

inline constexpr int kBacklog = 65535;  // the kernel cuts it to net.core.somaxconn

// `count` sockets on one address, listening and nonblocking. With port 0 all of them share the port the first one got. IPv6
// sockets take IPv6 only. Unavailable names the address and the error: a later try may succeed.
absl::StatusOr<std::vector<UniqueFd>> OpenListenerSockets(const IpAddress& address, uint32_t count);

// Bound and not listening: while a listener's connections are delivered in the kernel nobody else gets its port, and what
// reaches this host's stack all the same is refused. With SO_REUSEPORT, so that a successor may hold it at the same time.
absl::StatusOr<UniqueFd> ReservePort(const IpAddress& address);

// Does a socket listen there already, be it one with SO_REUSEPORT that would let ours in beside it?
bool OthersListen(const IpAddress& address);

// TCP_DEFER_ACCEPT, tcp(7): connections wait in the kernel until their first bytes have come, or for about a second. May be changed
// while the socket listens. A kernel that refuses goes on without.
void SetDeferAccept(int fd, bool on);

// Where a socket is bound, its port included.
IpAddress LocalAddress(int fd);

}  // namespace ringway::dp
