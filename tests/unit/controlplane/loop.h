// Helpers of the control plane's unit tests: a loop that turns until something holds, and a source that is told what to say.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/discovery/instance.h"

namespace ringway::cp {

// Runs the loop until `done`; false when it does not come true (the bound is only there so that a broken test ends).
inline bool RunUntil(boost::asio::io_context& io, const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    if (io.stopped()) io.restart();
    io.run_one_for(std::chrono::milliseconds(20));
  }
  return true;
}

// A directory of its own that goes with the test.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "ringway-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The Source contract with contents set by the test; callbacks are posted as the contract says.
class ScriptedSource : public Source {
 public:
  explicit ScriptedSource(boost::asio::io_context& io) : io_(io) {}
  std::vector<Instance> Instances(const std::string& service) const override {
    ++asked[service];
    const auto found = instances_.find(service);
    return found == instances_.end() ? std::vector<Instance>() : found->second;
  }
  bool TakeChanges(const std::string& service, const ChangeSink& sink) override {
    if (!tells_changes) return false;
    for (const auto& [id, now] : std::exchange(changes[service], {})) sink(id, now ? &*now : nullptr);
    return true;
  }
  bool Knows(const std::string&) const override { return knows; }
  void Forget(const std::string& service) override { forgotten.insert(service); }
  void OnChange(std::function<void(const std::string&)> callback) override { callback_ = std::move(callback); }
  bool SetDraining(const std::string& service, const std::string& id, bool draining) override {
    for (Instance& instance : instances_[service]) {
      if (instance.id != id) continue;
      instance.draining = draining;
      Changed(service);
      return true;
    }
    return false;
  }
  bool LeftByItself(const std::string& service, const std::string& id) const override {
    return left_by_themselves.count(service + " " + id) != 0;
  }
  CatalogState State() const override { return state; }
  void Set(const std::string& service, std::vector<Instance> instances) {
    instances_[service] = std::move(instances);
    Changed(service);
  }
  void Changed(const std::string& service) {
    boost::asio::post(io_, [this, service] {
      if (callback_) callback_(service);
    });
  }
  mutable std::map<std::string, int> asked;  // how often each service was looked at
  std::set<std::string> left_by_themselves;  // "SERVICE ID"
  bool knows = true;
  bool tells_changes = false;
  std::map<std::string, std::map<std::string, std::optional<Instance>>> changes;  // by service and id, told once
  std::set<std::string> forgotten;
  CatalogState state{"scripted", true, std::chrono::system_clock::now(), ""};

 private:
  boost::asio::io_context& io_;
  std::map<std::string, std::vector<Instance>> instances_;
  std::function<void(const std::string&)> callback_;
};

inline Instance MakeInstance(const std::string& id, uint64_t generation = 1, uint16_t port = 80) {
  Instance instance;
  instance.id = id;
  instance.generation = generation;
  instance.address = "127.0.0.1";
  instance.port = port;
  instance.health = InstanceHealth::kPassing;
  return instance;
}

}  // namespace ringway::cp
