// The log lines about endpoints: who came, went or changed, a service that is not served, a pool that is held or kept in spite
// of its checks. In a storm it says how many, not who: at most 20 lines a service in 10 s.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/api/feed.h"
#include "controlplane/pool/pool.h"

namespace ringway::cp {

class ChangeLog {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `before` and `after` are sorted by id, `delta` is what lies between them.
  void Changed(const std::vector<api::Endpoint>& before, const std::vector<api::Endpoint>& after, const api::ServiceDelta& delta, Time now);
  // What `pool` does now, when that is something else than at the last call.
  void Judged(const std::string& service, const Pool& pool, const Pool::Rules& rules);
  void Forget(const std::string& service) { services_.erase(service); }

 private:
  struct Told {
    Time since{};         // of the window that counts
    uint64_t lines = 0;   // in this window
    uint64_t silent = 0;  // changes that got no line
    bool held = false;
    bool kept = false;
  };
  void Endpoints(const std::vector<api::Endpoint>& before, const api::ServiceDelta& delta, Told& told, Time now);

  std::map<std::string, Told> services_;
};

}  // namespace ringway::cp
