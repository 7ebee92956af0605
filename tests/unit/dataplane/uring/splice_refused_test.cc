// UringIo where splice(2) or pipe2(2) is refused: by a seccomp filter, as a container's would, and by the limit of open files. The
// filter holds for the thread that asked for it, so each test has one of its own.
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <functional>
#include <string>
#include <thread>

#include "dataplane/uring/uring_io.h"

namespace ringway::dp {
namespace {

// For this thread and for ever.
void RefuseSplice(int error) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_splice, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(filter), filter};
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

void OnThread(const std::function<void()>& test) { std::thread(test).join(); }

UringOptions Small() {
  UringOptions options;
  options.submissions = 8;
  options.completions = 16;
  options.buffers_small = 2;
  options.buffers_large = 1;
  options.pipes_max = 2;
  return options;
}

// Bytes that go in at `far_in` come to `in`, and what is sent on `out` to `far_out`.
struct Ends {
  Ends() {
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    far_in = pair[0], in = pair[1];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    far_out = pair[0], out = pair[1];
  }
  ~Ends() {
    for (const int fd : {far_in, in, far_out, out}) close(fd);
  }
  int far_in, in, far_out, out;
};

TEST(SpliceRefused, IsFoundOutAtTheStart) {
  OnThread([] {
    UringIo allowed;
    ASSERT_TRUE(allowed.Init(Small()).ok());
    EXPECT_TRUE(allowed.splices());
    RefuseSplice(EPERM);
    UringIo refused;
    ASSERT_TRUE(refused.Init(Small()).ok());
    EXPECT_FALSE(refused.splices());
  });
}

TEST(SpliceRefused, LaterItMovesNothingAndSaysSo) {
  for (const int error : {EPERM, ENOSYS, EINVAL}) {
    OnThread([error] {
      UringIo io;
      ASSERT_TRUE(io.Init(Small()).ok());
      const Ends ends;
      ASSERT_EQ(write(ends.far_in, "bytes", 5), 5);
      RefuseSplice(error);
      const int32_t pipe = io.TakePipe();
      ASSERT_GE(pipe, 0);
      EXPECT_EQ(io.SpliceIn(ends.in, static_cast<uint16_t>(pipe), 100), -EOPNOTSUPP);
      io.ReturnPipe(static_cast<uint16_t>(pipe), true);
      char got[8];
      EXPECT_EQ(io.ReceiveNow(ends.in, got, sizeof got), 5);
    });
  }
}

TEST(SpliceRefused, WhatIsInAPipeStillComesWholeAndInOrder) {
  OnThread([] {
    UringIo io;
    ASSERT_TRUE(io.Init(Small()).ok());
    const Ends ends;
    const int smallest = 1;  // the socket takes it in several parts
    setsockopt(ends.out, SOL_SOCKET, SO_SNDBUF, &smallest, sizeof smallest);
    std::string sent(50000, ' ');
    for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>('a' + i * i % 23);
    const ssize_t written = write(ends.far_in, sent.data(), sent.size());
    ASSERT_GT(written, 10000);
    sent.resize(static_cast<size_t>(written));
    const auto pipe = static_cast<uint16_t>(io.TakePipe());
    int32_t left = io.SpliceIn(ends.in, pipe, static_cast<uint32_t>(sent.size()));
    ASSERT_GT(left, 0);
    sent.resize(static_cast<size_t>(left));
    RefuseSplice(EPERM);
    std::string got;
    int parts = 0;
    while (left > 0 && parts < 1000) {
      const int32_t moved = io.SpliceOut(pipe, ends.out, static_cast<uint32_t>(left));
      if (moved > 0) {
        left -= moved;
        ++parts;
      } else {
        ASSERT_EQ(moved, -EAGAIN);
      }
      char bytes[4096];
      for (ssize_t n; (n = read(ends.far_out, bytes, sizeof bytes)) > 0;) got.append(bytes, static_cast<size_t>(n));
    }
    EXPECT_EQ(got, sent);
    EXPECT_GT(parts, 1);
    io.ReturnPipe(pipe, true);
    EXPECT_EQ(io.TakePipe(), pipe) << "and the pipe is whole";
  });
}

TEST(Pipes, ALackOfDescriptorsIsToldFromALackOfPipes) {
  UringIo io;
  ASSERT_TRUE(io.Init(Small()).ok());
  const int32_t first = io.TakePipe();
  ASSERT_GE(first, 0);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{3, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const int32_t second = io.TakePipe();
  io.ReturnPipe(static_cast<uint16_t>(first), true);
  const int32_t again = io.TakePipe();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(second, -EMFILE);
  EXPECT_EQ(again, first) << "one that is open needs no descriptor";
  EXPECT_GE(io.TakePipe(), 0);
  EXPECT_EQ(io.TakePipe(), -ENOBUFS);
}

}  // namespace
}  // namespace ringway::dp
