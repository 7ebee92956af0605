// A send behind which the end follows: bytes and FIN go out as one segment, as the kernel's own count of segments tells.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "dataplane/uring/uring_io.h"

namespace ringway::dp {
namespace {

struct Pair {
  Pair() {
    const int listening = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listening, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listening, 1), 0);
    EXPECT_EQ(getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size), 0);
    client = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), size), 0);
    accepted = accept(listening, nullptr, nullptr);
    close(listening);
  }
  ~Pair() {
    close(client);
    close(accepted);
  }
  int client, accepted;
};

// Of any kind, FIN and ACKs included.
uint32_t SegmentsSent(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
  return info.tcpi_segs_out;
}

// Sends `text` and ends; how many segments that took.
uint32_t SendAndEnd(UringIo& io, const Pair& pair, std::string_view text, bool end_follows) {
  const uint32_t before = SegmentsSent(pair.accepted);
  const Slice slice{text.data(), text.size()};
  io.Send(pair.accepted, &slice, 1, {Op::kClientSend, 1, 1}, end_follows);
  int32_t sent = 0;
  io.Turn(1000, [&](const Completion& c) { sent = c.result; });
  EXPECT_EQ(sent, static_cast<int32_t>(text.size()));
  io.Shutdown(pair.accepted);
  std::string got(text.size(), ' ');
  EXPECT_EQ(recv(pair.client, got.data(), got.size(), MSG_WAITALL), static_cast<ssize_t>(text.size()));
  EXPECT_EQ(got, text);
  EXPECT_EQ(recv(pair.client, got.data(), 1, 0), 0);
  return SegmentsSent(pair.accepted) - before;
}

TEST(LastSend, TakesTheEndAlong) {
  UringIo io;
  UringOptions options;
  options.submissions = 8;
  options.completions = 16;
  options.buffers_small = 2;
  options.buffers_large = 1;
  ASSERT_TRUE(io.Init(options).ok());
  EXPECT_EQ(SendAndEnd(io, Pair(), "the answer", false), 2u);
  uint32_t segments = 0;
  // A test that stands still for 200 ms between the two lets the bytes go alone: that is no fault.
  for (int attempt = 0; attempt < 5 && segments != 1; ++attempt) segments = SendAndEnd(io, Pair(), "the answer", true);
  EXPECT_EQ(segments, 1u);
}

}  // namespace
}  // namespace ringway::dp
