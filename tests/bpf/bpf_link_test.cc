// Pinned links on an interface of a network namespace of the test's own. What runs there is asked of the kernel.
#include "dataplane/kernel/bpf_link.h"

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>

#include <cstdlib>

#include "tests/bpf/kernel_place.h"

namespace ringway::dp {
namespace {

constexpr char kPin[] = "link-tc-77";

bool Shell(const std::string& command) { return std::system(command.c_str()) == 0; }

UniqueFd PassAll() {
  const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, -1}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  return UniqueFd(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "l4_test", "GPL", code, 2, nullptr));
}

class PinnedLink : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    Make();
    program_ = PassAll();
    ASSERT_GE(program_.get(), 0);
    // The kernel of the emulated machine is older than tcx.
    if (absl::IsInvalidArgument(CreateLink(program_.get(), kIndex, BPF_TCX_INGRESS).status())) GTEST_SKIP() << "this kernel has no tcx";
  }
  static void Make() { ASSERT_TRUE(Shell("ip link add eth0 index 77 type veth peer name peer0 && ip link set eth0 up")); }
  absl::Status Attach() const { return CreatePinnedLink(pins_, kPin, program_.get(), kIndex, BPF_TCX_INGRESS).status(); }
  // The links at the interface, by their numbers.
  static std::vector<uint32_t> Attached() {
    uint32_t programs[8] = {}, links[8] = {};
    struct bpf_prog_query_opts answer {};
    answer.sz = sizeof(answer);
    answer.prog_ids = programs;
    answer.link_ids = links;
    answer.count = 8;
    EXPECT_EQ(bpf_prog_query_opts(kIndex, BPF_TCX_INGRESS, &answer), 0);
    return {links, links + answer.count};
  }

  static constexpr int kIndex = 77;
  BpfFolder bpf_;
  const PinDirectory pins_ = *PinDirectory::Open(bpf_.pins());
  UniqueFd program_;
};

TEST_F(PinnedLink, StaysWhenItsProgramIsReplaced) {
  ASSERT_TRUE(Attach().ok());
  const std::vector<uint32_t> first = Attached();
  ASSERT_EQ(first.size(), 1u);
  program_ = PassAll();
  ASSERT_TRUE(Attach().ok());
  EXPECT_EQ(Attached(), first);
}

TEST_F(PinnedLink, IsMadeAnewWhenItsInterfaceHasGoneAndAnotherOneHasItsNumber) {
  ASSERT_TRUE(Attach().ok());
  ASSERT_TRUE(Shell("ip link del eth0"));
  EXPECT_FALSE(IsAttachedAnywhere(pins_.Get(kPin)->get()));
  Make();
  EXPECT_TRUE(Attached().empty());
  ASSERT_TRUE(Attach().ok());
  EXPECT_EQ(Attached().size(), 1u);
  EXPECT_TRUE(IsAttachedAnywhere(pins_.Get(kPin)->get()));
}

TEST_F(PinnedLink, IsGoneAtOnceWhenItIsDropped) {
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Attach().ok());
    ASSERT_EQ(Attached().size(), 1u);
    ASSERT_TRUE(DropPinnedLink(pins_, kPin).ok());
    ASSERT_TRUE(Attached().empty());
  }
  EXPECT_TRUE(DropPinnedLink(pins_, kPin).ok()) << "nothing there is fine";
  EXPECT_TRUE(pins_.Names().empty());
}

}  // namespace
}  // namespace ringway::dp
