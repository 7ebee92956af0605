// A cgroup and a bpf file system of a test's own, made and removed with it: what a test attaches and pins touches nothing else.
#pragma once

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "dataplane/kernel/own_addresses.h"

namespace ringway::dp {

class Cgroup {
 public:
  explicit Cgroup(const std::string& name) : path_(CgroupRoot() + "/ringway-test-" + std::to_string(getpid()) + "-" + name) {
    std::filesystem::create_directory(path_);
  }
  ~Cgroup() {
    Leave();
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  // Sockets that this process makes from now on belong to it.
  void Enter() { Move(path_); }
  void Leave() { Move(CgroupRoot()); }
  const std::string& path() const { return path_; }

 private:
  static void Move(const std::string& to) { std::ofstream(to + "/cgroup.procs") << getpid() << std::flush; }
  const std::string path_;
};

class BpfFolder {
 public:
  BpfFolder() {
    char name[] = "/tmp/ringway-bpf-XXXXXX";
    path_ = mkdtemp(name);
    if (mount("bpf", path_.c_str(), "bpf", 0, nullptr) != 0) ADD_FAILURE() << "cannot mount a bpf file system";
  }
  ~BpfFolder() {
    umount2(path_.c_str(), MNT_DETACH);
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::string pins() const { return path_ + "/ringway"; }

 private:
  std::string path_;
};

}  // namespace ringway::dp
