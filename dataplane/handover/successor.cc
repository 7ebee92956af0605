// Takes over; see successor.h.
#include "dataplane/handover/successor.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "dataplane/handover/wire.h"

namespace ringway::dp {
namespace {

using Clock = std::chrono::steady_clock;
using Deadline = std::optional<Clock::time_point>;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr milliseconds kAbsent{1000};
constexpr milliseconds kAbsentPoll{20};

absl::StatusOr<UniqueFd> Connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return absl::InvalidArgumentError(path + ": too long for a unix socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return absl::UnavailableError(absl::StrCat("socket: ", std::strerror(errno)));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
  const std::string message = absl::StrCat(path, ": ", std::strerror(errno));
  return errno == ENOENT || errno == ECONNREFUSED ? absl::NotFoundError(message) : absl::UnavailableError(message);
}

// False at the deadline.
bool WaitFor(int fd, short events, Deadline deadline) {
  int wait = -1;
  if (deadline) wait = static_cast<int>(std::max<int64_t>(0, duration_cast<milliseconds>(*deadline - Clock::now()).count()));
  pollfd state{fd, events, 0};
  return poll(&state, 1, wait) != 0;
}

absl::Status Say(int fd, const HandoverMessage& message, Deadline deadline) {
  for (;;) {
    const absl::Status sent = SendRecord(fd, Encode(message));
    if (!absl::IsResourceExhausted(sent)) return sent;
    if (!WaitFor(fd, POLLOUT, deadline)) return absl::DeadlineExceededError("the dataplane that serves does not read");
  }
}

struct Heard {
  HandoverMessage message;
  std::vector<UniqueFd> files;
};

absl::StatusOr<Heard> Hear(int fd, Deadline deadline) {
  for (;;) {
    absl::StatusOr<Record> record = ReceiveRecord(fd);
    if (absl::IsResourceExhausted(record.status())) {
      if (!WaitFor(fd, POLLIN, deadline)) return absl::DeadlineExceededError("the dataplane that serves does not answer");
      continue;
    }
    if (!record.ok()) return record.status();
    absl::StatusOr<HandoverMessage> message = Decode(record->bytes);
    if (!message.ok()) return message.status();
    if (const auto* refused = std::get_if<Refused>(&*message)) {
      return absl::FailedPreconditionError("the dataplane that serves refuses: " + refused->reason);
    }
    return Heard{*std::move(message), std::move(record->files)};
  }
}

absl::Status HearSockets(Inheritance& got, Deadline deadline) {
  while (got.sockets.size() < got.offer.sockets) {
    absl::StatusOr<Heard> heard = Hear(got.channel.get(), deadline);
    if (!heard.ok()) return heard.status();
    const auto* batch = std::get_if<Sockets>(&heard->message);
    if (batch == nullptr || batch->sockets.empty() || batch->sockets.size() != heard->files.size()) {
      return absl::InvalidArgumentError("wanted listening sockets and a name for each");
    }
    for (size_t i = 0; i < batch->sockets.size(); ++i) {
      got.sockets.emplace_back(batch->sockets[i], std::move(heard->files[i]));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Inheritance> TakeOver(const std::string& socket_path, milliseconds timeout) {
  const Deadline deadline = Clock::now() + timeout;
  // One that has itself only just taken over listens there a moment later.
  const Clock::time_point absent = Clock::now() + std::min(timeout, kAbsent);
  absl::StatusOr<UniqueFd> channel = Connect(socket_path);
  while (absl::IsNotFound(channel.status()) && Clock::now() < absent) {
    std::this_thread::sleep_for(kAbsentPoll);
    channel = Connect(socket_path);
  }
  if (!channel.ok()) return channel.status();
  Inheritance got;
  got.channel = *std::move(channel);
  Take take;
  take.pid = getpid();
  take.release = RINGWAY_VERSION;
  // A refusal may be there already; it says more than a failed send.
  (void)Say(got.channel.get(), take, deadline);
  absl::StatusOr<Heard> heard = Hear(got.channel.get(), deadline);
  if (!heard.ok()) return heard.status();
  const auto* offer = std::get_if<Offer>(&heard->message);
  if (offer == nullptr) return absl::InvalidArgumentError("wanted an offer of listening sockets");
  got.offer = *offer;
  if (offer->protocol < kHandoverProtocolMin || offer->protocol > kHandoverProtocol) {
    return absl::FailedPreconditionError(absl::StrCat("it offers the handover protocol ", offer->protocol, ", this one speaks ",
                                                      kHandoverProtocolMin, " to ", kHandoverProtocol));
  }
  if (offer->snapshot) {
    if (heard->files.size() != 1) return absl::InvalidArgumentError("wanted a file with the snapshot");
    got.snapshot = std::move(heard->files[0]);
  }
  if (absl::Status sockets = HearSockets(got, deadline); !sockets.ok()) return sockets;
  return got;
}

absl::Status AskToLeave(const Inheritance& inheritance) {
  const int fd = inheritance.channel.get();
  // It may have refused by now: that is what is read then.
  (void)Say(fd, Ready{}, std::nullopt);
  absl::StatusOr<Heard> heard = Hear(fd, std::nullopt);
  if (absl::IsUnavailable(heard.status())) return absl::OkStatus();  // it has died, and we have its sockets
  if (!heard.ok()) return heard.status();
  return std::holds_alternative<Left>(heard->message) ? absl::OkStatus()
                                                      : absl::InvalidArgumentError("wanted \"left\" of the one that serves");
}

}  // namespace ringway::dp
