// What `ringway capabilities` is told of each program: that it loads is not enough, what is pinned needs a place for it.
#include "dataplane/kernel/try_programs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "dataplane/kernel/pin_directory.h"
#include "kernel_place.h"

namespace ringway::dp {
namespace {

using ::testing::HasSubstr;

std::map<std::string, ProgramFinding> Tried(const std::string& pins) {
  std::map<std::string, ProgramFinding> found;
  for (const ProgramFinding& one : TryPrograms("/nowhere", pins)) found[one.name] = one;
  return found;
}

std::set<std::string> Names(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

TEST(TryPrograms, AllAreUsableWithAFolderForPinsAndNothingIsLeftInIt) {
  const BpfFolder folder;
  const auto before = Names(folder.path());  // the kernel's own
  const auto found = Tried(folder.pins() + "/deep");
  for (const char* name : {"l4_tc", "l4_xdp", "l4_sweep", "connect", "steer"}) EXPECT_EQ(found.at(name).verdict, ProgramVerdict::kUsable) << found.at(name).detail;
  EXPECT_EQ(Names(folder.path()), before);
}

TEST(TryPrograms, WithoutOneOnlyWhatIsNotPinnedIsUsable) {
  const auto found = Tried("/tmp/ringway-no-bpf-here");
  for (const char* name : {"l4_tc", "l4_xdp", "l4_sweep", "connect"}) {
    EXPECT_EQ(found.at(name).verdict, ProgramVerdict::kNo) << name;
    EXPECT_THAT(found.at(name).detail, HasSubstr("pin_dir): /tmp/ringway-no-bpf-here: wanted a folder on a bpf file system"));
  }
  EXPECT_EQ(found.at("steer").verdict, ProgramVerdict::kUsable) << found.at("steer").detail;
}

TEST(PinFolder, OneThatIsThereIsCheckedAndLeftAsItIs) {
  const BpfFolder folder;
  ASSERT_TRUE(PinDirectory::Open(folder.pins()).ok());
  EXPECT_TRUE(PinDirectory::Check(folder.pins()).ok());
  EXPECT_EQ(std::filesystem::status(folder.pins()).permissions(), std::filesystem::perms(0700));
}

}  // namespace
}  // namespace ringway::dp
