// Records with file descriptors; see wire.h.
#include "dataplane/handover/wire.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace ringway::dp {
namespace {

constexpr size_t kControlBytes = CMSG_SPACE(kRecordFilesMax * sizeof(int));

absl::Status Failed(const char* call) {
  if (errno == EAGAIN || errno == EINTR) return absl::ResourceExhaustedError("not now");
  return absl::UnavailableError(absl::StrCat(call, ": ", std::strerror(errno)));
}

std::vector<UniqueFd> FilesOf(msghdr& header) {
  std::vector<UniqueFd> files;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      files.emplace_back(fd);
    }
  }
  return files;
}

}  // namespace

absl::Status SendRecord(int socket, const std::string& bytes, const std::vector<int>& files) {
  if (bytes.empty() || bytes.size() > kRecordBytesMax || files.size() > kRecordFilesMax) {
    return absl::InvalidArgumentError(absl::StrCat("a record of ", bytes.size(), " bytes and ", files.size(), " files"));
  }
  iovec data{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, kControlBytes> control{};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  if (!files.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(files.size() * sizeof(int));
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(files.size() * sizeof(int));
    std::memcpy(CMSG_DATA(part), files.data(), files.size() * sizeof(int));
  }
  return sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? Failed("sendmsg") : absl::OkStatus();
}

absl::StatusOr<Record> ReceiveRecord(int socket) {
  Record record;
  record.bytes.resize(kRecordBytesMax);
  iovec data{record.bytes.data(), record.bytes.size()};
  alignas(cmsghdr) std::array<char, kControlBytes> control{};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t size = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  // Told once, when the other side closed before it had read all; what it said before that can still be read.
  if (size < 0 && errno == ECONNRESET) size = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0) return Failed("recvmsg");
  record.files = FilesOf(header);  // owned before anything is refused
  if (size == 0) return absl::UnavailableError("the connection ended");
  if ((header.msg_flags & MSG_TRUNC) != 0) return absl::InvalidArgumentError("a record is larger than any of this protocol");
  if ((header.msg_flags & MSG_CTRUNC) != 0) {
    return absl::InvalidArgumentError("not every file of a record came: no descriptor left (ulimit -n)?");
  }
  record.bytes.resize(static_cast<size_t>(size));
  return record;
}

bool PeerGone(int socket) {
  pollfd state{socket, POLLRDHUP, 0};
  return poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace ringway::dp
