// Steering with live listening sockets: which of them gets a connection, and what happens when it cannot be decided.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <numeric>

#include "dataplane/feed/address.h"
#include "dataplane/feed/listener_sockets.h"
#include "dataplane/kernel/steer.h"

namespace ringway::dp {
namespace {

class SteerTest : public testing::Test {
 protected:
  static constexpr uint32_t kWorkers = 4;

  void SetUp() override {
    auto sockets = OpenListenerSockets(*ParseBind("127.0.0.1:0"), kWorkers);
    ASSERT_TRUE(sockets.ok());
    listening_ = *std::move(sockets);
    address_ = LocalAddress(listening_[0].get());
  }
  std::unique_ptr<Steering> Start(std::vector<int> cpus = {-1, -1, -1, -1}) {
    auto steering = Steering::Start(std::move(cpus), "/tmp/ringway-steer-logs");
    EXPECT_TRUE(steering.ok()) << steering.status();
    return *std::move(steering);
  }
  std::vector<int> Fds() const {
    std::vector<int> fds;
    for (const UniqueFd& fd : listening_) fds.push_back(fd.get());
    return fds;
  }
  void SetLoad(Steering& steering, uint32_t worker, uint32_t taken, uint32_t open) {
    steering.SessionsOf(worker)->store(uint64_t{taken} << 32 | open);
  }
  void Connect(int times) {
    for (int i = 0; i < times; ++i) {
      UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_storage storage;
      const socklen_t size = ToSockaddr(address_, storage);
      ASSERT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), size), 0) << std::strerror(errno);
      clients_.push_back(std::move(fd));
    }
  }
  // How many wait in each worker's socket; takes them.
  std::vector<uint32_t> Accepted() {
    std::vector<uint32_t> counts;
    for (const UniqueFd& fd : listening_) {
      uint32_t count = 0;
      for (int client; (client = accept(fd.get(), nullptr, nullptr)) >= 0; ++count) close(client);
      counts.push_back(count);
    }
    return counts;
  }

  std::vector<UniqueFd> listening_;
  IpAddress address_;
  std::vector<UniqueFd> clients_;
};

using Counts = std::vector<uint32_t>;

TEST_F(SteerTest, ConnectionsTakeTurnsWhileNoneIsAccepted) {
  auto steering = Start();
  ASSERT_TRUE(steering->Steer("a", Fds()).ok());
  Connect(40);
  EXPECT_EQ(Accepted(), Counts({10, 10, 10, 10}));
  EXPECT_EQ(steering->Counts()[STEER_LEAST], 40u);
}

TEST_F(SteerTest, TheLeastLoadedWorkerGetsTheNextOnes) {
  auto steering = Start();
  ASSERT_TRUE(steering->Steer("a", Fds()).ok());
  for (uint32_t worker = 0; worker < kWorkers; ++worker) SetLoad(*steering, worker, 0, worker == 2 ? 5 : 15);
  Connect(10);
  EXPECT_EQ(Accepted(), Counts({0, 0, 10, 0}));
}

TEST_F(SteerTest, ASessionThatWasTakenCountsOnce) {
  auto steering = Start();
  ASSERT_TRUE(steering->Steer("a", Fds()).ok());
  Connect(8);
  EXPECT_EQ(Accepted(), Counts({2, 2, 2, 2}));
  // All took theirs; worker 1's have ended.
  for (uint32_t worker = 0; worker < kWorkers; ++worker) SetLoad(*steering, worker, 2, worker == 1 ? 0 : 2);
  Connect(2);
  EXPECT_EQ(Accepted(), Counts({0, 2, 0, 0}));
}

TEST_F(SteerTest, SessionsTakenBeforeSteeringBeganAreNoLoad) {
  auto steering = Start();
  ASSERT_TRUE(steering->Steer("a", Fds()).ok());
  for (uint32_t worker = 0; worker < kWorkers; ++worker) SetLoad(*steering, worker, worker == 1 ? 1000 : 0, worker == 1 ? 0 : 5);
  Connect(2);
  EXPECT_EQ(Accepted(), Counts({0, 2, 0, 0})) << "it has the fewest open";
  steering->Tick();
  Connect(5);
  EXPECT_EQ(Accepted(), Counts({0, 5, 0, 0})) << "as many as the others have";
  Connect(4);
  EXPECT_LE(Accepted()[1], 2u) << "what it was given counts";
}

// This thread on the CPU where it is now. Over loopback a SYN is handled on the CPU that sends it.
class OneCpu {
 public:
  OneCpu() : cpu_(sched_getcpu()) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(cpu_), &one);
    EXPECT_EQ(sched_getaffinity(0, sizeof(before_), &before_), 0);
    EXPECT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  }
  ~OneCpu() { sched_setaffinity(0, sizeof(before_), &before_); }
  OneCpu(const OneCpu&) = delete;
  OneCpu& operator=(const OneCpu&) = delete;
  int cpu() const { return cpu_; }

 private:
  const int cpu_;
  cpu_set_t before_;
};

TEST_F(SteerTest, TheWorkerOnTheCpuIsPreferredWithinTheSlack) {
  const OneCpu here;
  auto steering = Start({-1, -1, -1, here.cpu()});
  steering->PreferLocal(true);
  ASSERT_TRUE(steering->Steer("a", Fds()).ok());
  Connect(3);
  EXPECT_EQ(Accepted(), Counts({0, 0, 0, 3}));
  EXPECT_EQ(steering->Counts()[STEER_LOCAL], 3u);
  Connect(1);
  EXPECT_EQ(Accepted(), Counts({1, 0, 0, 0})) << "three more than the others is beyond the slack";
}

TEST_F(SteerTest, OfManySessionsAnEighthMoreIsWithinTheSlack) {
  const OneCpu here;
  auto steering = Start({here.cpu() + 1, here.cpu() + 1, here.cpu(), -1});
  steering->PreferLocal(true);
  ASSERT_TRUE(steering->Steer("a", Fds()).ok());
  for (uint32_t worker = 0; worker < kWorkers; ++worker) SetLoad(*steering, worker, 0, worker == 2 ? 92 : 80);
  Connect(1);
  EXPECT_EQ(Accepted(), Counts({0, 0, 1, 0})) << "80 + 80 / 8 + 2";
  Connect(1);
  EXPECT_EQ(Accepted(), Counts({1, 0, 0, 0}));
}

TEST_F(SteerTest, WorkersThatShareACpuTakeTurns) {
  const OneCpu here;
  auto steering = Start({here.cpu(), here.cpu() + 1, here.cpu(), here.cpu() + 1});
  steering->PreferLocal(true);
  ASSERT_TRUE(steering->Steer("a", Fds()).ok());
  Connect(4);
  EXPECT_EQ(Accepted(), Counts({2, 0, 2, 0}));
}

TEST_F(SteerTest, WithoutThePreferenceAndOnOtherCpusOnlySessionsCount) {
  const OneCpu here;
  auto steering = Start({-1, -1, -1, here.cpu()});
  ASSERT_TRUE(steering->Steer("a", Fds()).ok());
  Connect(4);
  EXPECT_EQ(Accepted(), Counts({1, 1, 1, 1}));
  steering->PreferLocal(true);
  EXPECT_FALSE(steering->Steers("a")) << "the program has its choice from when it was loaded";
  ASSERT_TRUE(steering->Steer("a", Fds()).ok());
  Connect(2);
  EXPECT_EQ(Accepted(), Counts({0, 0, 0, 2}));
  steering->PreferLocal(true);
  EXPECT_TRUE(steering->Steers("a")) << "nothing new";

  auto elsewhere = Start({here.cpu() + 1, here.cpu() + 1, here.cpu() + 1, here.cpu() + 1});
  steering->ReleaseAll();
  elsewhere->PreferLocal(true);
  ASSERT_TRUE(elsewhere->Steer("a", Fds()).ok());
  Connect(4);
  EXPECT_EQ(Accepted(), Counts({1, 1, 1, 1}));
  EXPECT_EQ(elsewhere->Counts()[STEER_LOCAL], 0u);
}

TEST_F(SteerTest, AsManyWorkersAsThereMayBe) {
  const OneCpu here;
  auto sockets = OpenListenerSockets(*ParseBind("127.0.0.1:0"), STEER_WORKERS_MAX);
  ASSERT_TRUE(sockets.ok());
  listening_ = *std::move(sockets);
  address_ = LocalAddress(listening_[0].get());
  std::vector<int> cpus(STEER_WORKERS_MAX);
  for (size_t i = 0; i < cpus.size(); ++i) cpus[i] = i + 1 == cpus.size() ? here.cpu() : here.cpu() + 1 + static_cast<int>(i);
  auto steering = Start(cpus);
  steering->PreferLocal(true);
  const absl::Status steered = steering->Steer("a", Fds());
  ASSERT_TRUE(steered.ok()) << steered;
  Connect(1);
  EXPECT_EQ(Accepted().back(), 1u);
  EXPECT_FALSE(Steering::Start(std::vector<int>(STEER_WORKERS_MAX + 1, -1), "/tmp/ringway-steer-logs").ok());
}

// One TCP header from 127.0.0.1 to there, of no connection.
void SendStray(uint16_t port, uint8_t flags) {
  const UniqueFd raw(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP));
  ASSERT_GE(raw.get(), 0) << std::strerror(errno);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  tcphdr head{};
  head.th_sport = htons(1);
  head.th_dport = htons(port);
  head.th_seq = head.th_ack = htonl(1);
  head.th_off = sizeof(head) / 4;
  head.th_flags = flags;
  uint16_t words[sizeof(head) / 2];
  std::memcpy(words, &head, sizeof(head));
  uint32_t sum = 2 * (0x7f00 + 1) + IPPROTO_TCP + sizeof(head);  // the pseudo header
  for (const uint16_t word : words) sum += ntohs(word);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  head.th_sum = htons(static_cast<uint16_t>(~sum));
  ASSERT_EQ(sendto(raw.get(), &head, sizeof(head), 0, reinterpret_cast<sockaddr*>(&to), sizeof(to)), static_cast<ssize_t>(sizeof(head)));
}

TEST_F(SteerTest, PacketsOfNoConnectionAreNobodysLoad) {
  auto steering = Start();
  ASSERT_TRUE(steering->Steer("a", Fds()).ok());
  for (const uint8_t flags : {TH_ACK, TH_FIN | TH_ACK, TH_RST, TH_SYN | TH_ACK}) SendStray(address_.port, flags);
  EXPECT_EQ(steering->Counts(), (std::array<uint64_t, STEER_REASONS>{}));
  for (uint32_t worker = 0; worker < kWorkers; ++worker) SetLoad(*steering, worker, 0, worker == 0 ? 0 : 1);
  Connect(1);
  EXPECT_EQ(Accepted(), Counts({1, 0, 0, 0}));
}

TEST_F(SteerTest, AWorkerWithoutSocketIsLeftOut) {
  auto steering = Start();
  std::vector<int> fds = Fds();
  fds[0] = -1;  // it will have the fewest sessions for ever
  ASSERT_TRUE(steering->Steer("a", fds).ok());
  Connect(6);
  EXPECT_EQ(Accepted(), Counts({0, 2, 2, 2}));
  EXPECT_EQ(steering->Counts()[STEER_KERNEL], 0u);
}

TEST_F(SteerTest, AWorkersSocketThatIsGoneLeavesTheChoiceToTheKernel) {
  auto steering = Start();
  ASSERT_TRUE(steering->Steer("a", Fds()).ok());
  for (uint32_t worker = 1; worker < kWorkers; ++worker) SetLoad(*steering, worker, 0, 100);
  listening_.erase(listening_.begin());  // the least loaded one's
  Connect(5);
  const Counts got = Accepted();
  EXPECT_EQ(std::accumulate(got.begin(), got.end(), 0u), 5u) << "none is lost";
  EXPECT_EQ(steering->Counts()[STEER_KERNEL], 5u);
}

TEST_F(SteerTest, ReleasedGroupIsTheKernelsAgainAndAnotherProcessMaySteerIt) {
  auto steering = Start();
  ASSERT_TRUE(steering->Steer("a", Fds()).ok());
  auto successor = Start();
  EXPECT_FALSE(successor->Steer("a", Fds()).ok()) << "a socket is in one array at a time";
  Connect(4);
  EXPECT_EQ(Accepted(), Counts({1, 1, 1, 1})) << "and the first one steers on";
  steering->ReleaseAll();
  Connect(50);
  const Counts hashed = Accepted();
  EXPECT_EQ(std::accumulate(hashed.begin(), hashed.end(), 0u), 50u);
  EXPECT_EQ(steering->Counts()[STEER_LEAST], 4u);
  ASSERT_TRUE(successor->Steer("a", Fds()).ok());
  Connect(8);
  EXPECT_EQ(Accepted(), Counts({2, 2, 2, 2}));
}

TEST_F(SteerTest, GroupsShareTheLoads) {
  auto steering = Start();
  auto second = OpenListenerSockets(*ParseBind("127.0.0.1:0"), kWorkers);
  ASSERT_TRUE(second.ok());
  std::vector<int> fds;
  for (const UniqueFd& fd : *second) fds.push_back(fd.get());
  ASSERT_TRUE(steering->Steer("a", Fds()).ok());
  ASSERT_TRUE(steering->Steer("b", fds).ok());
  Connect(2);
  address_ = LocalAddress(fds[0]);
  std::swap(listening_, *second);
  Connect(2);
  EXPECT_EQ(Accepted(), Counts({0, 0, 1, 1}));
}

TEST_F(SteerTest, ConnectionsThatNeverCameAreForgotten) {
  auto steering = Start();
  ASSERT_TRUE(steering->Steer("a", Fds()).ok());
  Connect(8);
  Accepted();
  for (int i = 0; i < 3; ++i) steering->Tick();
  for (uint32_t worker = 0; worker < kWorkers; ++worker) SetLoad(*steering, worker, worker == 3 ? 0 : 2, 0);
  for (int i = 0; i < 3; ++i) steering->Tick();
  Connect(1);
  EXPECT_EQ(Accepted(), Counts({1, 0, 0, 0})) << "worker 3 is still owed two";
  for (uint32_t worker = 0; worker < kWorkers; ++worker) SetLoad(*steering, worker, worker == 3 ? 0 : 3, worker == 3 ? 0 : 1);
  for (int i = 0; i < 6; ++i) steering->Tick();
  Connect(1);
  EXPECT_EQ(Accepted(), Counts({0, 0, 0, 1}));
}

}  // namespace
}  // namespace ringway::dp
