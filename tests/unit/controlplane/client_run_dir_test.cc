// The commands look where `ringway up` with the same config file has its sockets.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "controlplane/cli/commands.h"
#include "tests/unit/controlplane/loop.h"

namespace ringway::cp {
namespace {

class ClientRunDirTest : public testing::Test {
 protected:
  ClientRunDirTest() {
    unsetenv("RINGWAY_RUN_DIR");
    unsetenv("RINGWAY_CONFIG");
  }
  ~ClientRunDirTest() override { unsetenv("RINGWAY_RUN_DIR"), unsetenv("RINGWAY_CONFIG"); }
  std::string Config(const std::string& text) const {
    std::string path = dir_.path() + "/ringway.json";
    std::ofstream(path) << text;
    return path;
  }
  static constexpr char kGood[] = R"({"run_dir": "/srv/ringway", "listeners": [{"name": "web", "bind": "127.0.0.1:80",
    "protocol": "http", "routes": [{"service": "web"}]}], "services": {"web": {}}})";

  TempDir dir_;
};

TEST_F(ClientRunDirTest, IsThatOfTheConfigFile) {
  const std::string config = Config(kGood);
  EXPECT_EQ(ClientRunDir("", config), "/srv/ringway");
  setenv("RINGWAY_CONFIG", config.c_str(), 1);
  EXPECT_EQ(ClientRunDir("", ""), "/srv/ringway");
}

TEST_F(ClientRunDirTest, WhatIsNamedGoesBeforeIt) {
  const std::string config = Config(kGood);
  EXPECT_EQ(ClientRunDir("/tmp/a", config), "/tmp/a");
  setenv("RINGWAY_RUN_DIR", "/tmp/b", 1);
  EXPECT_EQ(ClientRunDir("", config), "/tmp/b");
}

TEST_F(ClientRunDirTest, AWrongConfigIsNotTheEnd) {
  const std::string config = Config("{");
  EXPECT_EQ(ClientRunDir("/tmp/a", config), "/tmp/a");
  EXPECT_EQ(ClientRunDir("", config), "/run/ringway");
  EXPECT_EQ(ClientRunDir("", dir_.path() + "/none.json"), "/run/ringway");
}

}  // namespace
}  // namespace ringway::cp
