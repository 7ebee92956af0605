// Files, FIFOs, sockets: what is written, what is waited for, what is told.
#include "dataplane/access_log/log_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace ringway::dp {
namespace {

class LogFileTest : public testing::Test {
 protected:
  LogFileTest() {
    std::string name = testing::TempDir() + "logfile.XXXXXX";
    dir_ = mkdtemp(name.data());
  }
  ~LogFileTest() override { std::filesystem::remove_all(dir_); }
  std::string Path(const char* name) const { return dir_ + "/" + name; }
  static std::string Read(const std::string& path) {
    std::ifstream in(path);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  std::string dir_;
};

TEST_F(LogFileTest, AppendsToWhatIsThere) {
  std::ofstream(Path("log")) << "old\n";
  LogFile file(Path("log"));
  ASSERT_TRUE(file.Open());
  EXPECT_EQ(file.Write("new\n", 0), 4u);
  EXPECT_EQ(Read(Path("log")), "old\nnew\n");
}

TEST_F(LogFileTest, AFileMovedAwayIsSeenAndTheNextOpenMakesANewOne) {
  LogFile file(Path("log"));
  ASSERT_TRUE(file.Open());
  EXPECT_FALSE(file.Moved());
  file.Write("1\n", 0);
  std::filesystem::rename(Path("log"), Path("log.1"));
  EXPECT_TRUE(file.Moved());
  file.Write("2\n", 0);  // nothing is lost meanwhile
  file.Close();
  ASSERT_TRUE(file.Open());
  EXPECT_FALSE(file.Moved());
  file.Write("3\n", 0);
  EXPECT_EQ(Read(Path("log.1")), "1\n2\n");
  EXPECT_EQ(Read(Path("log")), "3\n");
}

TEST_F(LogFileTest, ATruncatedFileGoesOnFromItsNewEnd) {
  LogFile file(Path("log"));
  ASSERT_TRUE(file.Open());
  file.Write("a long line\n", 0);
  ASSERT_EQ(truncate(Path("log").c_str(), 0), 0);
  EXPECT_FALSE(file.Moved());
  file.Write("b\n", 0);
  EXPECT_EQ(Read(Path("log")), "b\n");
}

TEST_F(LogFileTest, NobodyElseMayReadIt) {
  LogFile file(Path("log"));
  ASSERT_TRUE(file.Open());
  struct stat status {};
  ASSERT_EQ(stat(Path("log").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07007, 0u);
}

TEST_F(LogFileTest, SaysWhyItCannotBeOpened) {
  LogFile file(Path("missing/log"));
  EXPECT_FALSE(file.Open());
  EXPECT_EQ(file.error(), "No such file or directory");
  LogFile directory(dir_);
  EXPECT_FALSE(directory.Open());
  EXPECT_EQ(directory.error(), "Is a directory");
}

TEST_F(LogFileTest, AFullDiskIsTold) {
  LogFile file("/dev/full");
  ASSERT_TRUE(file.Open());
  EXPECT_EQ(file.Write("x\n", 0), 0u);
  EXPECT_EQ(file.error(), "No space left on device");
}

TEST_F(LogFileTest, AFifoIsNeverWaitedFor) {
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  LogFile file(Path("fifo"));
  EXPECT_FALSE(file.Open());
  EXPECT_EQ(file.error(), "nobody reads this FIFO");
  const int reader = open(Path("fifo").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_TRUE(file.Open());
  std::string lines;
  while (lines.size() < 1u << 20) lines += std::string(99, 'x') + "\n";
  const size_t written = file.Write(lines, 0);  // the pipe holds 64 KiB
  EXPECT_GT(written, 4096u);
  EXPECT_LT(written, lines.size());
  EXPECT_EQ(written % 100, 0u);  // whole lines
  EXPECT_EQ(file.error(), "");
  char data[300];
  ASSERT_EQ(read(reader, data, 300), 300);
  EXPECT_EQ(std::string(data, 300), lines.substr(0, 300));
  close(reader);
  signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(file.Write(lines, 0), 0u);
  EXPECT_EQ(file.error(), "Broken pipe");
  EXPECT_FALSE(file.open());
}

}  // namespace
}  // namespace ringway::dp
