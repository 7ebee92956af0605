// Listening sockets of the dataplane before: each gets its worker, and none is lost on the way.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/feed/address.h"
#include "dataplane/feed/identity.h"
#include "dataplane/feed/map_builder.h"
#include "tests/unit/dataplane/feed/feed_test_support.h"

namespace ringway::dp {
namespace {

class InheritTest : public testing::Test {
 protected:
  // `count` sockets on one address, as another dataplane had them, for the listener of WebSnapshot().
  std::vector<int> Inherit(uint32_t count) {
    auto opened = OpenListenerSockets(*ParseBind("127.0.0.1:0"), count);
    EXPECT_TRUE(opened.ok()) << opened.status();
    std::vector<int> fds;
    for (uint32_t i = 0; i < count; ++i) {
      fds.push_back((*opened)[i].get());
      builder_.Inherit(ListenerIdentity(WebSnapshot().listeners[0]), i, std::move((*opened)[i]));
    }
    return fds;
  }
  absl::StatusOr<std::unique_ptr<const BackendMap>> Build(api::Snapshot snapshot) {
    return builder_.Build(std::make_shared<const api::Snapshot>(std::move(snapshot)));
  }
  const std::vector<int>& Sockets() const {
    return builder_.current().listeners[builder_.directory().listeners.at("front")]->sockets;
  }
  ~InheritTest() override {
    for (const auto& listener : builder_.current().listeners) {
      if (listener == nullptr) continue;
      for (const int fd : listener->sockets) close(fd);
    }
  }

  std::unique_ptr<WorkerShared> first_ = std::make_unique<WorkerShared>();
  std::unique_ptr<WorkerShared> second_ = std::make_unique<WorkerShared>();
  MapBuilder builder_{{first_.get(), second_.get()}};
};

TEST_F(InheritTest, TheListenerHasTheVerySockets) {
  const std::vector<int> fds = Inherit(2);
  const uint16_t port = LocalAddress(fds[0]).port;
  ASSERT_TRUE(Build(WebSnapshot()).ok());
  EXPECT_EQ(Sockets(), fds);
  EXPECT_EQ(builder_.current().listeners[0]->address.port, port);
}

TEST_F(InheritTest, AWorkerMoreGetsASocketBesideTheOthers) {
  const std::vector<int> fds = Inherit(1);
  ASSERT_TRUE(Build(WebSnapshot()).ok());
  ASSERT_EQ(Sockets().size(), 2u);
  EXPECT_EQ(Sockets()[0], fds[0]);
  EXPECT_EQ(LocalAddress(Sockets()[1]).port, LocalAddress(fds[0]).port);
}

TEST_F(InheritTest, ASnapshotThatIsRefusedLosesNone) {
  const std::vector<int> fds = Inherit(2);
  const UniqueFd taker(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_storage address{};
  const socklen_t size = ToSockaddr(*ParseBind("127.0.0.1:0"), address);
  ASSERT_EQ(bind(taker.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(taker.get(), 1), 0);
  api::Snapshot snapshot = WebSnapshot();
  snapshot.listeners.push_back(snapshot.listeners[0]);
  snapshot.listeners[1].name = "taken";
  snapshot.listeners[1].bind = SpellAddress(LocalAddress(taker.get()));
  EXPECT_TRUE(absl::IsUnavailable(Build(snapshot).status()));
  EXPECT_EQ(builder_.unopened(), "taken");
  ASSERT_TRUE(Build(WebSnapshot()).ok());
  EXPECT_EQ(Sockets(), fds);
}

TEST_F(InheritTest, WhileASuccessorTakesThemOverNoListenerIsOpened) {
  builder_.HoldListeners(true);
  EXPECT_TRUE(absl::IsUnavailable(Build(WebSnapshot()).status()));
  builder_.HoldListeners(false);
  EXPECT_TRUE(Build(WebSnapshot()).ok());
}

}  // namespace
}  // namespace ringway::dp
