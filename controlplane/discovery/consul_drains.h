// Which instances of a Consul are draining, asked for by a person or a sidecar: Consul has no place for it. Kept in
// DATA_DIR/drains.json over a restart of the control plane; a drain ends with the instance it was asked for, that is when it
// is registered anew, or has been gone for a while (an answer may err once). Control plane's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/discovery/instance.h"

namespace ringway::cp {

class ConsulDrains {
 public:
  static constexpr std::chrono::minutes kGoneFor{5};

  // Never fails: a damaged file is told in the log and begins empty.
  explicit ConsulDrains(const std::string& data_dir);

  bool Draining(const std::string& service, const Instance& instance) const;
  // True when it changed something.
  bool Set(const std::string& service, const Instance& instance, bool draining);
  // The catalog has answered: ends the drains of instances that are gone or others by now.
  void OnAnswer(const std::string& service, const std::vector<Instance>& instances, std::chrono::steady_clock::time_point now);

 private:
  using Clock = std::chrono::steady_clock;
  struct Drain {
    uint64_t generation = 0;
    Clock::time_point gone_since = Clock::time_point::max();  // by the answers
  };
  void Write() const;

  const std::string file_;
  std::map<std::pair<std::string, std::string>, Drain> drains_;  // service, instance id
};

}  // namespace ringway::cp
