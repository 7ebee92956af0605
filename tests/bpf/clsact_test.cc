// The tc program as a filter of a clsact qdisc, beside filters of others, in a network namespace and with a pin folder of the
// test's own. What is there is asked of tc(8).
#include "dataplane/kernel/clsact.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "tests/bpf/kernel_place.h"

namespace ringway::dp {
namespace {

std::string Output(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[4096];
  while (pipe != nullptr && std::fgets(buffer, sizeof(buffer), pipe) != nullptr) text += buffer;
  if (pipe != nullptr) pclose(pipe);
  return text;
}

bool Shell(const std::string& command) { return std::system(command.c_str()) == 0; }

int PassAll() {
  const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, -1}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "l4_test", "GPL", code, 2, nullptr);
}

class Clsact : public testing::Test {
 protected:
  Clsact() : pins_(*PinDirectory::Open(bpf_.pins())) {
    EXPECT_EQ(unshare(CLONE_NEWNET), 0);
    EXPECT_TRUE(Shell("ip link add eth0 type veth peer name peer0 && ip link set eth0 up"));
    index_ = if_nametoindex("eth0");
    program_ = PassAll();
    EXPECT_GE(program_, 0);
  }
  ~Clsact() override {
    close(program_);
    std::filesystem::remove_all(bpf_.pins());
  }
  static bool Qdisc() { return Output("tc qdisc show dev eth0").find("clsact") != std::string::npos; }
  static std::string Filters(const std::string& side) { return Output("tc filter show dev eth0 " + side); }
  bool OthersFilter(bpf_tc_attach_point side) const {
    bpf_tc_hook hook{};
    hook.sz = sizeof(hook);
    hook.ifindex = static_cast<int>(index_);
    hook.attach_point = side;
    bpf_tc_opts options{};
    options.sz = sizeof(options);
    options.prog_fd = program_;
    options.priority = 7;
    return bpf_tc_attach(&hook, &options) == 0;
  }

  BpfFolder bpf_;
  PinDirectory pins_;
  uint32_t index_ = 0;
  int program_ = -1;
};

TEST_F(Clsact, LeavesNothingBehind) {
  ASSERT_TRUE(AttachClsact(pins_, index_, program_).ok());
  ASSERT_TRUE(AttachClsact(pins_, index_, program_).ok());  // again: replaced
  EXPECT_TRUE(Qdisc());
  EXPECT_NE(Filters("ingress").find("l4_test"), std::string::npos);
  RemoveClsact(pins_, index_);
  EXPECT_FALSE(Qdisc());
  EXPECT_TRUE(pins_.Names().empty());
}

TEST_F(Clsact, AQdiscThatOthersUseByNowStays) {
  for (const bpf_tc_attach_point side : {BPF_TC_INGRESS, BPF_TC_EGRESS}) {
    ASSERT_TRUE(AttachClsact(pins_, index_, program_).ok());
    ASSERT_TRUE(OthersFilter(side));
    RemoveClsact(pins_, index_);
    EXPECT_NE(Filters(side == BPF_TC_INGRESS ? "ingress" : "egress").find("pref 7 "), std::string::npos);
    EXPECT_EQ(Filters("ingress").find("pref 21079 "), std::string::npos);  // ours
    ASSERT_TRUE(Shell("tc qdisc del dev eth0 clsact"));
  }
}

TEST_F(Clsact, AQdiscThatIsNotOursStaysEvenEmpty) {
  ASSERT_TRUE(Shell("tc qdisc add dev eth0 clsact"));
  ASSERT_TRUE(AttachClsact(pins_, index_, program_).ok());
  RemoveClsact(pins_, index_);
  EXPECT_TRUE(Qdisc());
  EXPECT_EQ(Filters("ingress"), "");
}

// The number of an interface is another one's in a new namespace.
TEST_F(Clsact, MarksOfANamespaceThatHasEndedSayNothingOfTheQdiscHere) {
  ASSERT_TRUE(AttachClsact(pins_, index_, program_).ok());
  ASSERT_TRUE(Shell("ip link del eth0"));
  EXPECT_FALSE(pins_.Names().empty());
  ASSERT_TRUE(Shell("ip link add eth0 index " + std::to_string(index_) + " type veth peer name peer0 && tc qdisc add dev eth0 clsact"));
  ForgetClsact(pins_);
  EXPECT_TRUE(pins_.Names().empty());
  ASSERT_TRUE(AttachClsact(pins_, index_, program_).ok());
  RemoveClsact(pins_, index_);
  EXPECT_TRUE(Qdisc()) << "of whoever made it";
}

TEST_F(Clsact, WhatCannotBeMarkedIsNotMade) {
  const std::string path = pins_.path();
  std::filesystem::remove_all(path);
  EXPECT_FALSE(AttachClsact(pins_, index_, program_).ok());
  EXPECT_FALSE(Qdisc());
  EXPECT_FALSE(AttachClsact(*PinDirectory::Open(path), index_, -1).ok());  // nor what cannot be attached
  EXPECT_FALSE(Qdisc());
  EXPECT_TRUE(pins_.Names().empty());
}

}  // namespace
}  // namespace ringway::dp
