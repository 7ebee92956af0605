// ringway-bench-origin --udp: sends each datagram back to where it came from. One thread, one ring; one multishot receive a socket.
#pragma once

#include <sys/socket.h>

#include <vector>

#include "bench/compare/tools/ring.h"
#include "bench/compare/tools/sockets.h"

namespace ringway::bench {

class UdpEcho {
 public:
  explicit UdpEcho(const std::vector<Address>& listen);
  void Run();  // until a signal

 private:
  enum Op : uint8_t { kOwn, kRecv, kSend };

  void Receive(uint32_t socket);
  void OnReceived(uint32_t socket, const io_uring_cqe& cqe);

  // Of a buffer whose datagram is on its way back.
  struct Reply {
    msghdr message{};
    iovec part{};
  };

  Ring ring_;
  BufferPool& pool_;
  msghdr shape_{};  // what a buffer begins with: room for a name, no control data
  std::vector<Reply> replies_;
  std::vector<int> sockets_;
};

}  // namespace ringway::bench
