// Predecessor and successor against each other, in one process: each on its own thread, as in two.
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <future>
#include <thread>

#include "dataplane/feed/address.h"
#include "dataplane/handover/predecessor.h"
#include "dataplane/handover/successor.h"

namespace ringway::dp {
namespace {

namespace asio = boost::asio;

class HandoverTest : public testing::Test {
 protected:
  HandoverTest() {
    char name[] = "/tmp/ringway-handover-XXXXXX";
    dir_ = mkdtemp(name);
    Predecessor::Hooks hooks;
    hooks.estate = [this] { return EstateOf(); };
    hooks.hold = [this](bool hold) { holds_ += hold ? 1 : -1; };
    hooks.leave = [this]() -> asio::awaitable<void> {
      left_ = true;
      co_return;
    };
    auto made = Predecessor::Listen(io_, Path(), std::move(hooks), std::chrono::milliseconds(200));
    EXPECT_TRUE(made.ok()) << made.status();
    predecessor_ = *std::move(made);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~HandoverTest() override {
    Stop();
    std::filesystem::remove_all(dir_);
  }
  void Stop() {
    if (!thread_.joinable()) return;
    io_.stop();
    thread_.join();
    predecessor_.reset();
  }
  std::string Path() const { return dir_ + "/handover.sock"; }

  absl::StatusOr<Estate> EstateOf() {
    Estate estate;
    estate.offer.workers = workers_;
    estate.snapshot = snapshot_;
    for (uint32_t i = 0; i < workers_; ++i) {
      auto sockets = OpenListenerSockets(*ParseBind("127.0.0.1:0"), 1);
      estate.sockets.emplace_back(SocketName{"127.0.0.1:0", "http", i}, std::move(sockets->front()));
    }
    return estate;
  }

  std::string dir_;
  uint32_t workers_ = 2;
  std::string snapshot_ = "a snapshot";
  int holds_ = 0;
  bool left_ = false;
  asio::io_context io_;
  std::unique_ptr<Predecessor> predecessor_;
  std::thread thread_;
};

constexpr std::chrono::seconds kPatience{20};

TEST_F(HandoverTest, EverySocketAndTheSnapshotComeOver) {
  workers_ = 3 * 64 + 5;  // several records
  snapshot_.assign(1 << 20, 's');
  auto got = TakeOver(Path(), kPatience);
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->sockets.size(), workers_);
  for (uint32_t i = 0; i < workers_; ++i) {
    EXPECT_EQ(got->sockets[i].first.worker, i);
    EXPECT_NE(LocalAddress(got->sockets[i].second.get()).port, 0);
  }
  EXPECT_EQ(lseek(got->snapshot.get(), 0, SEEK_END), 1 << 20);
  EXPECT_TRUE(AskToLeave(*got).ok());
  Stop();
  EXPECT_TRUE(left_);
  EXPECT_EQ(holds_, 1);
}

TEST_F(HandoverTest, WithoutSnapshotThereIsNoFile) {
  snapshot_.clear();
  auto got = TakeOver(Path(), kPatience);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_LT(got->snapshot.get(), 0);
}

TEST_F(HandoverTest, ASuccessorThatIsNotReadyInTimeIsToldSo) {
  auto got = TakeOver(Path(), kPatience);
  ASSERT_TRUE(got.ok()) << got.status();
  while (!PeerGone(got->channel.get())) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const absl::Status status = AskToLeave(*got);
  EXPECT_NE(std::string(status.message()).find("too long"), std::string::npos) << status;
  Stop();
  EXPECT_FALSE(left_);
  EXPECT_EQ(holds_, 0);
}

TEST_F(HandoverTest, OneAfterTheOtherMayTry) {
  for (int i = 0; i < 3; ++i) {
    auto got = TakeOver(Path(), kPatience);
    while (!got.ok()) got = TakeOver(Path(), kPatience);  // the end of the one before has not been noticed yet
  }
  Stop();
  EXPECT_FALSE(left_);
}

TEST_F(HandoverTest, NobodyThereIsNotFound) {
  Stop();
  EXPECT_TRUE(absl::IsNotFound(TakeOver(Path(), std::chrono::milliseconds(30)).status()));
  EXPECT_FALSE(std::filesystem::exists(Path()));
}

TEST_F(HandoverTest, ThePathIsLeftToWhoHasItNow) {
  asio::io_context io;
  auto other = Predecessor::Listen(io, Path(), {});
  ASSERT_TRUE(other.ok());
  Stop();
  EXPECT_TRUE(std::filesystem::exists(Path()));
}

TEST_F(HandoverTest, ThePathIsFreeWhenTheSuccessorHearsLeft) {
  auto got = TakeOver(Path(), kPatience);
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_TRUE(AskToLeave(*got).ok());
  EXPECT_FALSE(std::filesystem::exists(Path())) << "it could still take away its successor's";
}

}  // namespace
}  // namespace ringway::dp
