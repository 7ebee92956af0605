// Hands over; see predecessor.h.
#include "dataplane/handover/predecessor.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/log/log.h"

namespace ringway::dp {
namespace {

namespace asio = boost::asio;
using asio::posix::stream_descriptor;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr int kWaiting = 8;  // successors that wait to be refused
constexpr std::chrono::milliseconds kAcceptPause{100};

absl::Status Failed(const char* call, const std::string& path) {
  return absl::UnavailableError(absl::StrCat(call, " ", path, ": ", std::strerror(errno)));
}

bool MayTake(int fd) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == geteuid();
}

// -1 when this host has no memory for it; the successor then reads the kept one.
UniqueFd FileWith(const std::string& text) {
  UniqueFd fd(memfd_create("ringway-snapshot", MFD_CLOEXEC));
  for (size_t written = 0; fd.get() >= 0 && written < text.size();) {
    const ssize_t n = write(fd.get(), text.data() + written, text.size() - written);
    if (n <= 0) return UniqueFd();
    written += static_cast<size_t>(n);
  }
  return fd;
}

}  // namespace

// One who came, and the time he has.
struct Predecessor::Link {
  Link(asio::io_context& io, int fd) : stream(io, fd), guard(io) {}
  stream_descriptor stream;
  asio::steady_timer guard;
  bool late = false;
};

Predecessor::Predecessor(asio::io_context& io, std::string path, Hooks hooks, std::chrono::milliseconds timeout)
    : io_(io), path_(std::move(path)), hooks_(std::move(hooks)), timeout_(timeout), listener_(io) {}

Predecessor::~Predecessor() { Stop(); }

absl::StatusOr<std::unique_ptr<Predecessor>> Predecessor::Listen(asio::io_context& io, const std::string& path, Hooks hooks,
                                                                 std::chrono::milliseconds timeout) {
  std::unique_ptr<Predecessor> made(new Predecessor(io, path, std::move(hooks), timeout));
  if (absl::Status status = made->Open(); !status.ok()) return status;
  asio::co_spawn(io, made->AcceptLoop(), asio::detached);
  return made;
}

// Made aside and renamed, so that there is never a moment without a socket at the path, nor one with the wrong mode.
absl::Status Predecessor::Open() {
  const std::string aside = path_ + ".new";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (aside.size() >= sizeof(address.sun_path)) return absl::InvalidArgumentError(aside + ": too long for a unix socket");
  std::memcpy(address.sun_path, aside.c_str(), aside.size() + 1);
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return Failed("socket for", path_);
  unlink(aside.c_str());
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return Failed("bind", aside);
  struct stat info {};
  if (chmod(aside.c_str(), 0600) != 0 || listen(fd.get(), kWaiting) != 0 || stat(aside.c_str(), &info) != 0 ||
      rename(aside.c_str(), path_.c_str()) != 0) {
    const absl::Status status = Failed("listen on", path_);
    unlink(aside.c_str());
    return status;
  }
  device_ = info.st_dev;
  inode_ = info.st_ino;
  listener_.assign(fd.Release());
  return absl::OkStatus();
}

void Predecessor::Stop() {
  if (!listener_.is_open()) return;
  boost::system::error_code ignored;
  listener_.close(ignored);
  struct stat info {};
  if (stat(path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_) unlink(path_.c_str());
}

asio::awaitable<void> Predecessor::AcceptLoop() {
  asio::steady_timer pause(io_);
  for (;;) {
    auto [error] = co_await listener_.async_wait(stream_descriptor::wait_read, kNoThrow);
    if (error) co_return;  // closed
    const int fd = accept4(listener_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {  // no descriptor left, perhaps: whoever waits still waits then
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(kNoThrow);
      continue;
    }
    if (!MayTake(fd)) {
      spdlog::warn("handover: another user wanted the listening sockets and was turned away");
      close(fd);
      continue;
    }
    asio::co_spawn(io_, Serve(std::make_shared<Link>(io_, fd)), asio::detached);
  }
}

asio::awaitable<void> Predecessor::Serve(LinkPtr link) {
  link->guard.expires_after(timeout_);
  link->guard.async_wait([link](const boost::system::error_code& error) {
    if (error) return;
    link->late = true;
    link->stream.cancel();
  });
  const absl::StatusOr<Take> take = co_await Greet(link);
  if (!take.ok()) {
    std::string reason(take.status().message());
    spdlog::warn("handover refused: {}", reason);
    HandoverMessage refusal = Refused{std::move(reason)};
    std::vector<int> none;
    (void)co_await Say(link, std::move(refusal), std::move(none));
    link->guard.cancel();
    co_return;
  }
  successor_ = take->pid;
  spdlog::info("handover: process {} (release {}) takes the listening sockets", take->pid, take->release);
  hooks_.hold(true);
  absl::Status status = co_await HandOut(link, *ChooseProtocol(take->protocol, take->protocol_min));
  if (status.ok()) status = co_await AwaitReady(link);
  link->guard.cancel();
  if (!status.ok()) {
    spdlog::error("handover: process {} has not taken over: {}; this one goes on serving", take->pid, std::string(status.message()));
    HandoverMessage refusal = Refused{std::string(status.message())};
    (void)SendRecord(link->stream.native_handle(), Encode(refusal));
    hooks_.hold(false);
    successor_ = 0;
    co_return;
  }
  left_ = true;
  co_await hooks_.leave();
  Stop();  // before it is told: the path is its own then
  if (const absl::Status told = SendRecord(link->stream.native_handle(), Encode(Left{})); !told.ok()) {
    spdlog::error("handover: process {} has gone after it was ready: {}", take->pid, std::string(told.message()));
  }
}

asio::awaitable<absl::StatusOr<Take>> Predecessor::Greet(LinkPtr link) {
  absl::StatusOr<HandoverMessage> message = co_await Hear(link);
  if (!message.ok()) co_return message.status();
  const auto* take = std::get_if<Take>(&*message);
  if (take == nullptr) co_return absl::InvalidArgumentError("wanted \"take\" first");
  if (left_) co_return absl::FailedPreconditionError("it has left already");
  if (successor_ != 0) {
    co_return absl::FailedPreconditionError(absl::StrCat("process ", successor_, " is taking over already"));
  }
  const absl::StatusOr<uint32_t> protocol = ChooseProtocol(take->protocol, take->protocol_min);
  if (!protocol.ok()) co_return protocol.status();
  co_return *take;
}

asio::awaitable<absl::Status> Predecessor::HandOut(LinkPtr link, uint32_t protocol) {
  absl::StatusOr<Estate> made = hooks_.estate();
  if (!made.ok()) co_return made.status();
  Estate estate = *std::move(made);
  estate.offer.protocol = protocol;
  estate.offer.sockets = static_cast<uint32_t>(estate.sockets.size());
  const UniqueFd snapshot = estate.snapshot.empty() ? UniqueFd() : FileWith(estate.snapshot);
  estate.offer.snapshot = snapshot.get() >= 0;
  std::vector<int> files;
  if (estate.offer.snapshot) files.push_back(snapshot.get());
  HandoverMessage offer = estate.offer;
  absl::Status status = co_await Say(link, std::move(offer), std::move(files));
  for (size_t at = 0; status.ok() && at < estate.sockets.size();) {
    Sockets batch;
    files = {};
    for (; at < estate.sockets.size() && files.size() < kRecordFilesMax; ++at) {
      batch.sockets.push_back(estate.sockets[at].first);
      files.push_back(estate.sockets[at].second.get());
    }
    HandoverMessage message = std::move(batch);
    status = co_await Say(link, std::move(message), std::move(files));
  }
  co_return status;
}

asio::awaitable<absl::Status> Predecessor::AwaitReady(LinkPtr link) {
  const absl::StatusOr<HandoverMessage> message = co_await Hear(link);
  if (!message.ok()) co_return message.status();
  if (const auto* refused = std::get_if<Refused>(&*message)) co_return absl::UnavailableError(refused->reason);
  if (!std::holds_alternative<Ready>(*message)) co_return absl::InvalidArgumentError("wanted \"ready\"");
  // It was killed while we were slow: then there is nobody to leave to.
  if (PeerGone(link->stream.native_handle())) co_return absl::UnavailableError("it has ended after it was ready");
  co_return absl::OkStatus();
}

asio::awaitable<absl::StatusOr<HandoverMessage>> Predecessor::Hear(LinkPtr link) {
  for (;;) {
    const absl::StatusOr<Record> record = ReceiveRecord(link->stream.native_handle());
    if (record.ok()) co_return Decode(record->bytes);
    if (!absl::IsResourceExhausted(record.status())) co_return record.status();
    if (link->late) co_return absl::DeadlineExceededError("it took too long");
    co_await link->stream.async_wait(stream_descriptor::wait_read, kNoThrow);
  }
}

asio::awaitable<absl::Status> Predecessor::Say(LinkPtr link, HandoverMessage message, std::vector<int> files) {
  const std::string bytes = Encode(message);
  for (;;) {
    absl::Status sent = SendRecord(link->stream.native_handle(), bytes, files);
    if (!absl::IsResourceExhausted(sent)) co_return sent;
    if (link->late) co_return absl::DeadlineExceededError("it took too long");
    co_await link->stream.async_wait(stream_descriptor::wait_write, kNoThrow);
  }
}

}  // namespace ringway::dp
