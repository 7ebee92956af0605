// RUN_DIR/up.sock: clients that say nothing and a process without descriptors are no end of it.
#include "controlplane/cli/up_socket.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "tests/unit/controlplane/loop.h"

namespace ringway::cp {
namespace {

class UpSocketTest : public testing::Test {
 protected:
  UpSocketTest() {
    const auto handler = [this](const boost::json::object&, uint64_t client) { socket_.Answer(client, {{"ok", true}}); };
    EXPECT_TRUE(socket_.Listen(path_, handler).ok());
  }
  ~UpSocketTest() override {
    for (const int fd : clients_) close(fd);
  }
  int Connect() {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0) << std::strerror(errno);
    clients_.push_back(fd);
    return fd;
  }
  static void Ask(int fd) { EXPECT_EQ(send(fd, "{}\n", 3, MSG_NOSIGNAL), 3); }
  // What it got: "" at the connection's end, "-" for nothing yet.
  static std::string Got(int fd) {
    char bytes[256];
    const ssize_t size = read(fd, bytes, sizeof(bytes));
    return size < 0 ? "-" : std::string(bytes, static_cast<size_t>(size));
  }
  size_t Polled() const {
    std::vector<pollfd> polled;
    socket_.AddTo(polled);
    return polled.size();
  }

  TempDir dir_;
  const std::string path_ = dir_.path() + "/up.sock";
  UpSocket socket_;
  std::vector<int> clients_;
  const UpSocket::Clock::time_point now_ = UpSocket::Clock::now();
};

TEST_F(UpSocketTest, ClientsThatSayNothingMakeRoom) {
  for (size_t i = 0; i < UpSocket::kClientsMax; ++i) {
    Connect();
    socket_.Serve(now_);
  }
  const int refused = Connect();
  socket_.Serve(now_);
  EXPECT_EQ(Got(refused), "");
  EXPECT_EQ(Got(clients_[0]), "-");
  EXPECT_EQ(socket_.due(), now_ + UpSocket::kLineTimeout);
  socket_.Serve(socket_.due());
  EXPECT_EQ(Got(clients_[0]), "");
  EXPECT_EQ(Polled(), 1u);
  const int later = Connect();
  Ask(later);
  socket_.Serve(now_ + UpSocket::kLineTimeout);
  EXPECT_EQ(Got(later), "{\"ok\":true}\n");
}

TEST_F(UpSocketTest, WithoutADescriptorItDoesNotPollForClients) {
  const int client = Connect();
  Ask(client);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const int next = dup(client);  // the lowest one free
  close(next);
  const rlimit none{static_cast<rlim_t>(next), limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  socket_.Serve(now_);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(Polled(), 0u);
  EXPECT_EQ(socket_.due(), now_ + UpSocket::kAcceptPause);
  socket_.Serve(socket_.due());
  EXPECT_EQ(Got(client), "{\"ok\":true}\n");
  EXPECT_EQ(Polled(), 1u);
}

}  // namespace
}  // namespace ringway::cp
