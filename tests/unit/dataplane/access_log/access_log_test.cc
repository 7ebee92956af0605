// From a worker's ring to the file: everything once, in order; trouble is counted and over when it is over.
#include "dataplane/access_log/access_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

namespace ringway::dp {
namespace {

using std::chrono::milliseconds;

class AccessLogTest : public testing::Test {
 protected:
  AccessLogTest() {
    std::string name = testing::TempDir() + "accesslog.XXXXXX";
    dir_ = mkdtemp(name.data());
    for (auto& worker : workers_) worker = std::make_unique<WorkerShared>();
    log_ = std::make_unique<AccessLog>(std::vector<WorkerShared*>{workers_[0].get(), workers_[1].get()}, 16, names_);
  }
  ~AccessLogTest() override {
    log_->Stop(milliseconds(1000));
    log_.reset();
    std::filesystem::remove_all(dir_);
  }
  std::string Path(const char* name) const { return dir_ + "/" + name; }
  void Configure(const std::string& path, bool used = true, api::AccessFormat format = api::AccessFormat::kCombined) {
    api::Snapshot snapshot;
    snapshot.listeners.resize(1);
    snapshot.listeners[0].access_log = used;
    snapshot.access_log = {path, format};
    log_->Configure(snapshot);
  }
  // As a worker does.
  bool Log(size_t worker, const std::string& line) {
    AccessPort* port = workers_[worker]->access.load();
    AccessRecord record{};
    record.status = 200;
    record.service = record.endpoint = kNoHandle;
    record.sizes[0] = static_cast<uint16_t>(line.size());
    const auto size = static_cast<uint32_t>(sizeof record + line.size());
    char* place = port->ring.Reserve(size);
    if (place == nullptr) {
      workers_[worker]->counters.worker.access_dropped_total.Add();
      return false;
    }
    std::memcpy(place, &record, sizeof record);
    std::memcpy(place + sizeof record, line.data(), line.size());
    port->ring.Commit(size);
    return true;
  }
  static std::vector<std::string> Lines(const std::string& path) {
    std::ifstream in(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) {
      const size_t from = line.find('"') + 1;
      lines.push_back(line.substr(from, line.find('"', from) - from));
    }
    return lines;
  }
  static bool Eventually(const std::function<bool()>& is) {
    for (int i = 0; i < 2000 && !is(); ++i) usleep(5000);
    return is();
  }

  std::string dir_;
  HandleNames names_;
  std::array<std::unique_ptr<WorkerShared>, 2> workers_;
  std::unique_ptr<AccessLog> log_;
};

TEST_F(AccessLogTest, NothingIsMadeUntilAListenerLogs) {
  Configure(Path("log"), false);
  EXPECT_EQ(workers_[0]->access.load(), nullptr);
  EXPECT_FALSE(log_->Status().used);
  Configure(Path("log"));
  EXPECT_NE(workers_[0]->access.load(), nullptr);
  EXPECT_NE(workers_[0]->access.load(), workers_[1]->access.load());
  EXPECT_TRUE(log_->Status().used);
}

TEST_F(AccessLogTest, EveryRecordBecomesALineAndStopWritesTheLast) {
  Configure(Path("log"));
  std::vector<std::string> wanted;
  for (int i = 0; i < 3000; ++i) {
    wanted.push_back("GET /" + std::to_string(i));
    ASSERT_TRUE(Log(0, wanted.back()));
  }
  EXPECT_TRUE(log_->Stop(milliseconds(5000)));
  EXPECT_EQ(Lines(Path("log")), wanted);
  EXPECT_EQ(log_->Status().written, 3000u);
  EXPECT_EQ(log_->Status().written_bytes, std::filesystem::file_size(Path("log")));
  EXPECT_EQ(log_->Status().dropped_output, 0u);
}

TEST_F(AccessLogTest, AllWorkersAreRead) {
  Configure(Path("log"));
  Log(0, "a");
  Log(1, "b");
  EXPECT_TRUE(log_->Stop(milliseconds(5000)));
  EXPECT_THAT(Lines(Path("log")), testing::UnorderedElementsAre("a", "b"));
}

TEST_F(AccessLogTest, AnotherPathAndFormatByReload) {
  Configure(Path("log"));
  Log(0, "one");
  ASSERT_TRUE(Eventually([&] { return log_->Status().written == 1; }));
  Configure(Path("other"), true, api::AccessFormat::kJson);
  ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(Path("other")); }));
  Log(0, "GET / HTTP/1.1");
  EXPECT_TRUE(log_->Stop(milliseconds(5000)));
  EXPECT_EQ(Lines(Path("log")).size(), 1u);
  std::ifstream in(Path("other"));
  std::string line;
  std::getline(in, line);
  EXPECT_THAT(line, testing::StartsWith("{\"time\":"));
}

TEST_F(AccessLogTest, AMovedFileIsLeftAtOnceWhenTold) {
  Configure(Path("log"));
  Log(0, "one");
  ASSERT_TRUE(Eventually([&] { return log_->Status().written == 1; }));
  std::filesystem::rename(Path("log"), Path("log.1"));
  log_->Reopen();
  ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(Path("log")); }));
  Log(0, "two");
  EXPECT_TRUE(log_->Stop(milliseconds(5000)));
  EXPECT_EQ(Lines(Path("log.1")), std::vector<std::string>{"one"});
  EXPECT_EQ(Lines(Path("log")), std::vector<std::string>{"two"});
}

TEST_F(AccessLogTest, WhatCannotBeWrittenIsCountedAndTold) {
  Configure(Path("missing/log"));
  ASSERT_TRUE(Eventually([&] { return !log_->Status().trouble.empty(); }));
  for (int i = 0; i < 10; ++i) Log(0, "lost");
  ASSERT_TRUE(Eventually([&] { return log_->Status().dropped_output == 10; }));
  std::filesystem::create_directory(Path("missing"));
  log_->Reopen();
  ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(Path("missing/log")); }));
  Log(0, "found");
  ASSERT_TRUE(Eventually([&] { return log_->Status().trouble.empty(); }));
  EXPECT_EQ(Lines(Path("missing/log")), std::vector<std::string>{"found"});
}

TEST_F(AccessLogTest, AReaderThatDoesNotReadCostsLinesAndNobodyWaits) {
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  const int reader = open(Path("fifo").c_str(), O_RDONLY | O_NONBLOCK);
  Configure(Path("fifo"));
  uint64_t logged = 0;
  // The pipe, the lines that may wait, and the ring: then lines are dropped, and each is counted.
  const std::string line(1000, 'x');
  ASSERT_TRUE(Eventually([&] {
    for (int i = 0; i < 200; ++i) logged += Log(0, line) ? 1 : 0;
    return log_->Status().dropped_output > 0;
  }));
  EXPECT_THAT(log_->Status().trouble, testing::HasSubstr("too slow"));
  EXPECT_TRUE(log_->Stop(milliseconds(50)));  // and the end is not held up
  const AccessLogStatus status = log_->Status();
  std::string data(4 << 20, '\0');
  const ssize_t got = read(reader, data.data(), data.size());
  close(reader);
  EXPECT_EQ(static_cast<uint64_t>(std::count(data.begin(), data.begin() + got, '\n')), status.written);
  EXPECT_GE(logged, status.written + status.dropped_output);
}

}  // namespace
}  // namespace ringway::dp
