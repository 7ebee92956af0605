// The network namespace this process is in: its number, and a token by which another process can tell later whether it lives.
// Any one thread.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "dataplane/feed/listener_sockets.h"

namespace ringway::dp {

// Of no other namespace until the next boot (SO_NETNS_COOKIE, kernel 5.14). 0: the kernel does not say.
uint64_t NetnsCookie();

// A map whose one entry, the namespace's loopback interface, the kernel takes out when the namespace ends. It keeps nothing alive.
// Wants CAP_BPF and CAP_NET_ADMIN.
absl::StatusOr<UniqueFd> MakeNetnsToken();
bool NetnsLives(int token);

}  // namespace ringway::dp
