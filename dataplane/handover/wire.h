// One record between two dataplanes on RUN_DIR/handover.sock (SOCK_SEQPACKET): bytes, and with them file descriptors
// (SCM_RIGHTS, unix(7)). Never blocks. What the bytes say is in messages.h.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/feed/listener_sockets.h"

namespace ringway::dp {

inline constexpr size_t kRecordBytesMax = 64 << 10;
// The kernel takes 253 a record (SCM_MAX_FD).
inline constexpr size_t kRecordFilesMax = 64;

struct Record {
  std::string bytes;
  std::vector<UniqueFd> files;  // close-on-exec
};

// ResourceExhausted: not now, the socket's buffer is full. Unavailable: the other side has gone.
absl::Status SendRecord(int socket, const std::string& bytes, const std::vector<int>& files = {});

// ResourceExhausted: nothing there yet. Unavailable: the other side has gone. InvalidArgument: a record too large to be one of ours.
absl::StatusOr<Record> ReceiveRecord(int socket);

// Has the other side closed its end?
bool PeerGone(int socket);

}  // namespace ringway::dp
