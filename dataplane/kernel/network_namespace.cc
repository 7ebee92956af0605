// See network_namespace.h; the token: dev_map_notification in the kernel's kernel/bpf/devmap.c.
#include "dataplane/kernel/network_namespace.h"

#include <bpf/bpf.h>
#include <sys/socket.h>

#include <cerrno>

#include "dataplane/kernel/bpf_error.h"

namespace ringway::dp {
namespace {

constexpr uint32_t kLoopback = 1;  // its index in every namespace; it cannot be moved to another one

}  // namespace

uint64_t NetnsCookie() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0) return 0;
  return cookie;
}

absl::StatusOr<UniqueFd> MakeNetnsToken() {
  UniqueFd map(bpf_map_create(BPF_MAP_TYPE_DEVMAP_HASH, "ringway_netns", sizeof(kLoopback), sizeof(kLoopback), 1, nullptr));
  if (map.get() < 0) return BpfError(errno, "the network namespace's mark");
  if (bpf_map_update_elem(map.get(), &kLoopback, &kLoopback, BPF_ANY) != 0) return BpfError(errno, "the network namespace's mark");
  return map;
}

bool NetnsLives(int token) {
  uint32_t interface = 0;
  return bpf_map_lookup_elem(token, &kLoopback, &interface) == 0;
}

}  // namespace ringway::dp
