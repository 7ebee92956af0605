// Why `accelerate` does not exist: each case is a hazard of sk_msg redirection as this kernel has it, with two sockets of the
// test's own on loopback. They are expected to be there; a kernel on which one of these fails has become safer, and
// docs/adr/0011-no-acceleration.md is to be judged again.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sockmap_hazard.skel.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "dataplane/feed/listener_sockets.h"

namespace ringway::dp {
namespace {

class SockmapHazard : public testing::Test {
 protected:
  void SetUp() override {
    const UniqueFd listening(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    ASSERT_EQ(bind(listening.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(listen(listening.get(), 1), 0);
    ASSERT_EQ(getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    sender_ = UniqueFd(socket(AF_INET, SOCK_STREAM, 0));
    ASSERT_EQ(connect(sender_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    receiver_ = UniqueFd(accept(listening.get(), nullptr, nullptr));
    for (const int fd : {sender_.get(), receiver_.get()}) ASSERT_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
  }
  void TearDown() override {
    if (skeleton_ != nullptr) sockmap_hazard_bpf::destroy(skeleton_);
  }
  void Enrol(uint64_t budget = 0) {
    skeleton_ = sockmap_hazard_bpf::open();
    ASSERT_NE(skeleton_, nullptr);
    skeleton_->rodata->budget = budget;
    ASSERT_EQ(sockmap_hazard_bpf::load(skeleton_), 0);
    const int map = bpf_map__fd(skeleton_->maps.ends);
    ASSERT_EQ(bpf_prog_attach(bpf_program__fd(skeleton_->progs.to_the_other), map, BPF_SK_MSG_VERDICT, 0), 0);
    const UniqueFd* ends[] = {&sender_, &receiver_};
    for (uint32_t i = 0; i < 2; ++i) {
      const uint64_t fd = static_cast<uint64_t>(ends[i]->get());
      ASSERT_EQ(bpf_map_update_elem(map, &i, &fd, BPF_ANY), 0) << std::strerror(errno);
    }
  }
  // Sends until the kernel takes no more, at most `max`; returns how much it took.
  size_t Fill(size_t max) {
    const std::string block(64 << 10, 'x');
    size_t sent = 0;
    while (sent < max) {
      const ssize_t n = send(sender_.get(), block.data(), block.size(), MSG_NOSIGNAL);
      if (n > 0) sent += static_cast<size_t>(n);
      else if (errno == EAGAIN && !Ready(sender_.get(), POLLOUT, 100)) break;
      else if (errno != EAGAIN) break;
    }
    return sent;
  }
  static bool Ready(int fd, short what, int ms) {
    pollfd ready{fd, what, 0};
    return poll(&ready, 1, ms) > 0;
  }
  std::string Read(size_t size) {
    std::string text;
    char piece[64 << 10];
    while (text.size() < size && Ready(receiver_.get(), POLLIN, 1000)) {
      const ssize_t n = recv(receiver_.get(), piece, std::min(sizeof(piece), size - text.size()), 0);
      if (n <= 0) break;
      text.append(piece, static_cast<size_t>(n));
    }
    return text;
  }
  void Send(const std::string& text) { ASSERT_EQ(send(sender_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size())); }

  UniqueFd sender_, receiver_;
  sockmap_hazard_bpf* skeleton_ = nullptr;
};

constexpr size_t kMuch = 64 << 20;

TEST_F(SockmapHazard, TcpStopsASenderWhoseReaderDoesNotRead) { EXPECT_LT(Fill(kMuch), kMuch / 2); }

TEST_F(SockmapHazard, RedirectionDoesNot) {
  Enrol();
  EXPECT_EQ(Fill(kMuch), kMuch) << "all of it is now in kernel memory";
}

TEST_F(SockmapHazard, ABudgetBoundsIt) {
  Enrol(256 << 10);
  EXPECT_LT(Fill(kMuch), kMuch / 2);
  EXPECT_LE(skeleton_->bss->redirected, 256u << 10);
}

TEST_F(SockmapHazard, BytesFromBeforeTheEnrolmentAreOvertaken) {
  Send("AAAA");
  ASSERT_TRUE(Ready(receiver_.get(), POLLIN, 1000));
  Enrol();
  Send("BBBB");
  EXPECT_EQ(Read(8), "BBBBAAAA");
}

// The worker moves long bodies and streams by splice (docs/adr/0006): on an enrolled socket what is there never comes out.
TEST_F(SockmapHazard, SpliceDoesNotSeeWhatWasRedirected) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_NONBLOCK), 0);
  const UniqueFd out(ends[0]), in(ends[1]);
  const auto splice_now = [&] { return splice(receiver_.get(), nullptr, in.get(), nullptr, 4096, SPLICE_F_NONBLOCK); };
  Send("hello");
  ASSERT_TRUE(Ready(receiver_.get(), POLLIN, 1000));
  ASSERT_EQ(splice_now(), 5) << "TCP's bytes are moved";
  Enrol();
  Send("hello");
  ASSERT_TRUE(Ready(receiver_.get(), POLLIN, 1000)) << "poll says that there is something";
  EXPECT_LE(splice_now(), 0) << "splice moved it after all";
  EXPECT_EQ(Read(5), "hello") << "and recv has it";
}

TEST_F(SockmapHazard, ACloseWithUnreadBytesLooksLikeAnOrderlyEnd) {
  const auto after_close = [this] {
    Send("hello");
    EXPECT_TRUE(Ready(receiver_.get(), POLLIN, 1000));
    receiver_ = UniqueFd();
    EXPECT_TRUE(Ready(sender_.get(), POLLIN, 1000));
    char byte;
    return recv(sender_.get(), &byte, 1, 0) == 0 ? 0 : errno;
  };
  EXPECT_EQ(after_close(), ECONNRESET) << "TCP says so";
  SetUp();
  Enrol();
  EXPECT_EQ(after_close(), 0);
}

// A connection that is in nobody's map (its other end was not enrolled in time, another 4-tuple by NAT) is to stay TCP's.
TEST_F(SockmapHazard, AFailedLookupLosesTheMessage) {
  Enrol();
  const uint32_t receiver = 1;
  ASSERT_EQ(bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.ends), &receiver), 0);
  EXPECT_LT(send(sender_.get(), "hello", 5, MSG_NOSIGNAL), 0) << "a program must ask first, and say SK_PASS itself";
  EXPECT_FALSE(Ready(receiver_.get(), POLLIN, 200));
}

TEST_F(SockmapHazard, ASecondToolCannotHaveTheSameSocket) {
  Enrol();
  sockmap_hazard_bpf* other = sockmap_hazard_bpf::open_and_load();
  ASSERT_NE(other, nullptr);
  const int map = bpf_map__fd(other->maps.ends);
  ASSERT_EQ(bpf_prog_attach(bpf_program__fd(other->progs.to_the_other), map, BPF_SK_MSG_VERDICT, 0), 0);
  const uint32_t first = 0;
  const uint64_t fd = static_cast<uint64_t>(sender_.get());
  EXPECT_LT(bpf_map_update_elem(map, &first, &fd, BPF_ANY), 0);
  EXPECT_EQ(errno, EBUSY) << "who comes first keeps the other out, and neither is asked";
  sockmap_hazard_bpf::destroy(other);
}

TEST_F(SockmapHazard, BytesThatAreToBeThrownAwayAreCopied) {
  const auto thrown_away = [this] {
    Send("hello");
    EXPECT_TRUE(Ready(receiver_.get(), POLLIN, 1000));
    std::string buffer = "zzzzz";
    EXPECT_EQ(recv(receiver_.get(), buffer.data(), buffer.size(), MSG_TRUNC), 5);
    return buffer;
  };
  EXPECT_EQ(thrown_away(), "zzzzz") << "tcp(7): MSG_TRUNC";
  Enrol();
  EXPECT_EQ(thrown_away(), "hello");
}

}  // namespace
}  // namespace ringway::dp
