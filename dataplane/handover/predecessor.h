// The predecessor's half of a handover: listens on RUN_DIR/handover.sock (mode 0600, same user or root) and gives whoever comes
// the listening sockets, the stats' one and the snapshot that runs. Until that successor says that it is ready, nothing changes
// here; if it dies, hangs or cannot be understood, this dataplane goes on as if nobody had come. One successor at a time.
// Main thread.
#pragma once

#include <sys/types.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/feed/listener_sockets.h"
#include "dataplane/handover/messages.h"
#include "dataplane/handover/wire.h"

namespace ringway::dp {

// What is handed out; the descriptors are copies, closed when they have been sent.
struct Estate {
  Offer offer;
  std::string snapshot;  // JSON; empty without one
  std::vector<std::pair<SocketName, UniqueFd>> sockets;
};

class Predecessor {
 public:
  // From `take` to `ready`.
  static constexpr std::chrono::seconds kTimeout{10};

  struct Hooks {
    std::function<absl::StatusOr<Estate>()> estate;
    // While true no new listening socket may be opened: the successor would not know of it.
    std::function<void(bool)> hold;
    // Returns when no worker accepts any more. There is no way back.
    std::function<boost::asio::awaitable<void>()> leave;
  };

  // Takes the path, whoever had it before.
  static absl::StatusOr<std::unique_ptr<Predecessor>> Listen(boost::asio::io_context& io, const std::string& path, Hooks hooks,
                                                             std::chrono::milliseconds timeout = kTimeout);
  // On the io_context's thread, when it runs no more.
  ~Predecessor();
  // Takes no more successors, and removes the path if it is still this one's. One that is under way gets its answer.
  void Stop();

 private:
  struct Link;
  using LinkPtr = std::shared_ptr<Link>;

  Predecessor(boost::asio::io_context& io, std::string path, Hooks hooks, std::chrono::milliseconds timeout);
  absl::Status Open();
  boost::asio::awaitable<void> AcceptLoop();
  boost::asio::awaitable<void> Serve(LinkPtr link);
  boost::asio::awaitable<absl::StatusOr<Take>> Greet(LinkPtr link);
  boost::asio::awaitable<absl::Status> HandOut(LinkPtr link, uint32_t protocol);
  boost::asio::awaitable<absl::Status> AwaitReady(LinkPtr link);
  static boost::asio::awaitable<absl::StatusOr<HandoverMessage>> Hear(LinkPtr link);
  static boost::asio::awaitable<absl::Status> Say(LinkPtr link, HandoverMessage message, std::vector<int> files);

  boost::asio::io_context& io_;
  const std::string path_;
  const Hooks hooks_;
  const std::chrono::milliseconds timeout_;
  boost::asio::posix::stream_descriptor listener_;
  dev_t device_ = 0;  // of the path, when it was made
  ino_t inode_ = 0;
  int64_t successor_ = 0;  // its process, while there is one
  bool left_ = false;
};

}  // namespace ringway::dp
