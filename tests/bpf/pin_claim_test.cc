// Whose a pin folder is: a lock of one dataplane, a mark of one network namespace. Namespaces are those of threads.
#include "dataplane/kernel/pin_claim.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

#include "dataplane/kernel/clsact.h"
#include "dataplane/kernel/network_namespace.h"
#include "dataplane/kernel/packet_delivery.h"
#include "dataplane/kernel/packet_programs.h"
#include "tests/bpf/kernel_place.h"

namespace ringway::dp {
namespace {

using std::chrono::milliseconds;

const PinWords kWords{"a.pin_dir", "remove"};

class Claim : public testing::Test {
 protected:
  static void InAnotherNamespace(const std::function<void()>& run) {
    std::thread([&] {
      ASSERT_EQ(unshare(CLONE_NEWNET), 0);
      run();
    }).join();
  }
  absl::StatusOr<PinClaim> Take(milliseconds wait = {}) { return PinClaim::Take(bpf_.pins(), kWords, wait); }
  void Mark() {
    absl::StatusOr<PinClaim> claim = Take();
    ASSERT_TRUE(claim.ok()) << claim.status();
    EXPECT_TRUE(claim->Mark().ok());
  }
  // As a filter of a clsact qdisc leaves it: the kernel cannot be asked in which namespace that is.
  void LeaveFilter() {
    std::filesystem::create_directories(bpf_.pins() + "/l4-v2/" + kClsact + "2");
  }

  BpfFolder bpf_;
};

TEST_F(Claim, IsOneDataplanes) {
  EXPECT_FALSE(PinClaim::IsFree(bpf_.pins())) << "nothing is there";
  {
    const absl::StatusOr<PinClaim> first = Take();
    ASSERT_TRUE(first.ok()) << first.status();
    EXPECT_TRUE(absl::IsFailedPrecondition(Take(milliseconds(30)).status()));
    EXPECT_TRUE(absl::IsFailedPrecondition(PinClaim::TakeToRemove(bpf_.pins(), kWords, {}).status()));
    EXPECT_FALSE(PinClaim::IsFree(bpf_.pins()));
  }
  EXPECT_TRUE(PinClaim::IsFree(bpf_.pins()));
  std::thread leaver;
  {
    auto first = std::make_unique<PinClaim>(*Take());
    leaver = std::thread([held = std::move(first)]() mutable {
      std::this_thread::sleep_for(milliseconds(50));
      held.reset();
    });
  }
  EXPECT_TRUE(Take(std::chrono::seconds(30)).ok()) << "it waits for one that leaves";
  leaver.join();
}

TEST_F(Claim, OfThisNamespaceIsHere) {
  Mark();
  LeaveFilter();
  EXPECT_EQ(Take()->home(), PinHome::kHere);
  Mark();  // again
  EXPECT_EQ(Take()->home(), PinHome::kHere);
}

TEST_F(Claim, OfAReleaseWithoutMarksIsHere) {
  LeaveFilter();
  EXPECT_EQ(Take()->home(), PinHome::kHere);
}

TEST_F(Claim, OfALivingNamespaceIsElsewhereAsLongAsSomethingIsAttached) {
  Mark();
  InAnotherNamespace([&] {
    EXPECT_EQ(Take()->home(), PinHome::kGone) << "nothing is attached";
    LeaveFilter();
    const absl::Status status = Take().status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status));
    EXPECT_EQ(status.message(), bpf_.pins() + " (a.pin_dir) holds programs that run in another network namespace, without a dataplane at the moment: they are left "
                                              "alone. Wanted a folder for each network namespace; to remove them: remove " + bpf_.pins());
    EXPECT_FALSE(PinClaim::IsFree(bpf_.pins()));
    EXPECT_EQ(PinClaim::TakeToRemove(bpf_.pins(), kWords, {})->home(), PinHome::kElsewhere);
  });
  EXPECT_EQ(Take()->home(), PinHome::kHere) << "nothing was changed";
}

// Filters stand in the namespace alone; links go with their pins from anywhere (packet_live).
TEST_F(Claim, FiltersElsewhereAreNotTakenForThoseHere) {
  Mark();
  LeaveFilter();
  InAnotherNamespace([&] {
    const absl::Status status = PacketDelivery::RemoveTraces(bpf_.pins());
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_NE(status.message().find("they can be removed from there only"), std::string::npos) << status;
  });
  EXPECT_TRUE(PacketPrograms::AreThere(bpf_.pins()));
  EXPECT_TRUE(PacketDelivery::RemoveTraces(bpf_.pins()).ok());
  EXPECT_FALSE(std::filesystem::exists(bpf_.pins()));
}

TEST_F(Claim, OfANamespaceThatHasEndedIsGoneAndBelongsToTheNext) {
  InAnotherNamespace([&] {
    Mark();
    LeaveFilter();
  });
  absl::StatusOr<PinClaim> claim = Take(std::chrono::seconds(30));  // the kernel ends it in its own time
  ASSERT_TRUE(claim.ok()) << claim.status();
  EXPECT_EQ(claim->home(), PinHome::kGone);
  EXPECT_TRUE(claim->Mark().ok());
  EXPECT_EQ(claim->home(), PinHome::kHere);
  std::filesystem::remove_all(bpf_.pins() + "/l4-v2");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(bpf_.pins()), {}), 1) << "its own mark alone";
  std::move(*claim).Remove();
  EXPECT_FALSE(std::filesystem::exists(bpf_.pins()));
}

TEST_F(Claim, IsGivenBackWithItsFolderWhenThatIsEmpty) {
  Mark();
  LeaveFilter();
  std::move(*Take()).Remove();
  EXPECT_TRUE(std::filesystem::exists(bpf_.pins() + "/l4-v2")) << "another one's";
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(bpf_.pins()), {}), 1);
}

TEST(NetworkNamespace, HasANumberOfItsOwn) {
  uint64_t other = 0;
  std::thread([&] {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    other = NetnsCookie();
  }).join();
  EXPECT_NE(other, 0u);
  EXPECT_NE(other, NetnsCookie());
}

}  // namespace
}  // namespace ringway::dp
