// The successor's half of a handover: asks the dataplane that serves for its listening sockets, and tells it when to leave.
// Blocks: used on the main thread, before the io_context runs, except for Left().
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/feed/listener_sockets.h"
#include "dataplane/handover/messages.h"

namespace ringway::dp {

// What a predecessor has handed out. As long as nothing was said about `ready` it goes on serving with the same sockets; when
// this is destroyed before, nothing has happened.
struct Inheritance {
  Offer offer;
  UniqueFd channel;
  UniqueFd snapshot;  // a file; -1 without
  std::vector<std::pair<SocketName, UniqueFd>> sockets;
};

// NotFound: nobody is there to hand anything over. Others: it refuses, cannot be understood, or does not answer in `timeout`.
absl::StatusOr<Inheritance> TakeOver(const std::string& socket_path, std::chrono::milliseconds timeout);

// Tells the predecessor to leave and waits until it accepts no more. From the first moment there is no way back: an end of the
// connection counts as leaving too, there is nobody else then. Other than OK: it refuses and goes on serving.
absl::Status AskToLeave(const Inheritance& inheritance);

}  // namespace ringway::dp
