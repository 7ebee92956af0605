// Giving up capabilities, as the kernel sees it (/proc/thread-self/status). Wants to be started with some: by root.
#include "common/privileges/privileges.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>
#include <thread>

namespace ringway {
namespace {

using Sets = std::map<std::string, uint64_t>;

Sets Own() {
  std::ifstream status("/proc/thread-self/status");
  Sets sets;
  for (std::string name, value; status >> name && std::getline(status, value);) {
    if (name.starts_with("Cap")) sets[name] = std::stoull(value, nullptr, 16);
  }
  return sets;
}

template <typename Work>
void OnAThread(Work work) {
  std::thread(work).join();
}

constexpr uint64_t kPort = 1u << CAP_NET_BIND_SERVICE;
constexpr uint64_t kAdmin = 1u << CAP_SYS_ADMIN;
constexpr uint64_t kBpf = uint64_t{1} << CAP_BPF;

TEST(Privileges, AThreadKeepsWhatIsNamedAndNobodyElseLosesAnything) {
  const Sets before = Own();
  if ((before.at("CapPrm:") & kPort) == 0 || before.at("CapPrm:") == kPort) GTEST_SKIP() << "not root: nothing to give up";
  OnAThread([&before] {
    KeepOnly({CAP_NET_BIND_SERVICE});
    EXPECT_EQ(Own(), (Sets{{"CapInh:", 0}, {"CapPrm:", kPort}, {"CapEff:", kPort}, {"CapBnd:", before.at("CapBnd:")}, {"CapAmb:", 0}}));
    OnAThread([] { EXPECT_EQ(Own().at("CapPrm:"), kPort); });
    KeepOnly(kFileCapabilities);
    EXPECT_EQ(Own().at("CapPrm:"), 0u) << "what is gone does not come back";
  });
  EXPECT_EQ(Own(), before);
}

TEST(Privileges, EachCallTakesMoreAndNothingLeftIsNoTrouble) {
  if ((Own().at("CapPrm:") & (1u << CAP_KILL)) == 0) GTEST_SKIP() << "not root: nothing to give up";
  OnAThread([] {
    KeepOnly({CAP_KILL, CAP_CHOWN});
    KeepOnly({CAP_KILL});
    EXPECT_EQ(Own().at("CapEff:"), 1u << CAP_KILL);
    KeepOnly(kNoCapabilities);
    EXPECT_EQ(Own().at("CapEff:"), 0u);
    KeepOnly(kNoCapabilities);  // nothing left to give up
    EXPECT_EQ(Own().at("CapPrm:"), 0u);
  });
}

TEST(Privileges, SysAdminStandsInForAPartOfItThatIsNotThere) {
  if ((Own().at("CapPrm:") & kAdmin) == 0 || (Own().at("CapPrm:") & kBpf) == 0) GTEST_SKIP() << "not root: nothing to give up";
  OnAThread([] {
    KeepOnly({CAP_BPF});
    EXPECT_EQ(Own().at("CapPrm:"), kBpf);
  });
  OnAThread([] {
    KeepOnly({CAP_SYS_ADMIN, CAP_KILL});
    KeepOnly({CAP_BPF, CAP_NET_BIND_SERVICE});
    EXPECT_EQ(Own().at("CapPrm:"), kAdmin);
    KeepOnly({CAP_NET_BIND_SERVICE});
    EXPECT_EQ(Own().at("CapPrm:"), 0u);
  });
}

}  // namespace
}  // namespace ringway
