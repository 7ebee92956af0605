// Records over a real socket pair: bytes, files, ends.
#include "dataplane/handover/wire.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ringway::dp {
namespace {

class WireTest : public testing::Test {
 protected:
  WireTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    here_ = UniqueFd(ends[0]);
    there_ = UniqueFd(ends[1]);
  }
  UniqueFd here_, there_;
};

ino_t InodeOf(int fd) {
  struct stat info {};
  EXPECT_EQ(fstat(fd, &info), 0);
  return info.st_ino;
}

TEST_F(WireTest, BytesAndFilesArriveTogetherAndCloseOnExec) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const UniqueFd reading(pipe_ends[0]), writing(pipe_ends[1]);
  const std::vector<int> many(kRecordFilesMax - 1, writing.get());
  std::vector<int> files = many;
  files.insert(files.begin(), reading.get());
  ASSERT_TRUE(SendRecord(here_.get(), "names", files).ok());
  const auto record = ReceiveRecord(there_.get());
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->bytes, "names");
  ASSERT_EQ(record->files.size(), files.size());
  EXPECT_EQ(InodeOf(record->files[0].get()), InodeOf(reading.get()));
  for (const UniqueFd& file : record->files) EXPECT_NE(fcntl(file.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(WireTest, RecordsKeepTheirBounds) {
  const std::string longest(kRecordBytesMax, 'x');
  ASSERT_TRUE(SendRecord(here_.get(), "one").ok());
  ASSERT_TRUE(SendRecord(here_.get(), longest).ok());
  EXPECT_EQ(ReceiveRecord(there_.get())->bytes, "one");
  EXPECT_EQ(ReceiveRecord(there_.get())->bytes, longest);
  EXPECT_TRUE(absl::IsResourceExhausted(ReceiveRecord(there_.get()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(SendRecord(here_.get(), longest + "x")));
  EXPECT_TRUE(absl::IsInvalidArgument(SendRecord(here_.get(), "")));
}

TEST_F(WireTest, ARecordLargerThanAnyIsRefused) {
  const std::string large(kRecordBytesMax + 1, 'x');
  ASSERT_GT(send(here_.get(), large.data(), large.size(), 0), 0);
  EXPECT_TRUE(absl::IsInvalidArgument(ReceiveRecord(there_.get()).status()));
}

TEST_F(WireTest, AFullSocketIsNotAnError) {
  const std::string large(kRecordBytesMax, 'x');
  absl::Status sent;
  for (int i = 0; i < 1000 && sent.ok(); ++i) sent = SendRecord(here_.get(), large);
  EXPECT_TRUE(absl::IsResourceExhausted(sent));
}

TEST_F(WireTest, WhatWasSaidBeforeTheEndIsRead) {
  ASSERT_TRUE(SendRecord(there_.get(), "never read").ok());
  ASSERT_TRUE(SendRecord(here_.get(), "last words").ok());
  EXPECT_FALSE(PeerGone(there_.get()));
  here_ = UniqueFd();
  EXPECT_TRUE(PeerGone(there_.get()));
  EXPECT_EQ(ReceiveRecord(there_.get())->bytes, "last words");
  EXPECT_TRUE(absl::IsUnavailable(ReceiveRecord(there_.get()).status()));
  EXPECT_TRUE(absl::IsUnavailable(SendRecord(there_.get(), "hello?")));
}

}  // namespace
}  // namespace ringway::dp
