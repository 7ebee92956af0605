// One dataplane of a simulated run: a Worker over its SimIo, the maps it was given, and what must be true of its counters after
// each of its turns and at its end. During an upgrade two of them run and share listening sockets.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "dataplane/core/worker.h"
#include "tests/sim/access_watch.h"
#include "tests/sim/ledger.h"
#include "tests/sim/sim_io.h"

namespace ringway::sim {

// Handles that a run may use.
struct Known {
  std::vector<uint32_t> listeners;
  std::vector<uint32_t> services;
  uint32_t endpoints = 0;  // those below
};

class Process : public IoWatch {
 public:
  using IsReady = std::function<bool(const dp::IpAddress&, uint64_t version)>;
  Process(Network& network, const Mood& mood, const SimIoOptions& options, const dp::WorkerLimits& limits, IsReady is_ready);

  void OnConnecting(const dp::IpAddress& to) override;
  uint64_t MapVersion() const override { return shared_->map_version.load(); }

  // Takes what feed/ would give: the newest map replaces one that was not taken yet.
  void Publish(std::unique_ptr<dp::BackendMap> map);
  // One turn, and the judgement of it.
  void Step(const Known& known);
  void Stop(uint32_t timeout_ms);
  void Leave() { shared_->leave.store(true); }
  void CheckEnd(const Known& known, bool listener_left);

  void AddTo(Totals& totals, const Known& known) const;

  bool running() const { return running_; }
  bool leaving() const { return shared_->leave.load(); }
  bool Quiet(uint32_t endpoint) const;
  const dp::CounterTable& counters() const { return shared_->counters; }
  SimIo& io() { return io_; }
  std::vector<int> listener_fds;  // by the world's number of a listener; -1: none

 private:
  struct Seen {  // totals of an endpoint after the last turn
    uint64_t exchanges = 0;
    uint64_t ejections = 0;
    uint64_t ejected_until_us = 0;
  };
  struct Watched {  // of a service: after the last turn, and for how long the same requests have waited
    uint64_t waiting = 0;
    uint64_t requests_total = 0;
    uint64_t aborts_total = 0;
    uint64_t waited_total = 0;
    uint64_t full_total = 0;  // turned away because too many wait
    uint64_t since_us = 0;
    uint32_t late_turns = 0;
    uint64_t denied_total = 0;  // ejections, and when the last was seen
    uint64_t denied_us = 0;
  };
  const dp::ServiceEntry* Entry(uint32_t service) const;
  void JudgeEndpoints(const dp::ServiceEntry& service);
  void JudgeEjected(const dp::ServiceEntry& service) const;
  void JudgeOrder(const dp::ServiceEntry& service) const;
  void JudgeWaiting(const Known& known);
  void JudgeRoom(const dp::ServiceEntry& service);
  void CheckCounters(const Known& known) const;
  void CheckRetries(const Known& known) const;

  Network& network_;
  const Mood mood_;
  const dp::WorkerLimits limits_;
  const IsReady is_ready_;
  SimIo io_;
  const std::unique_ptr<dp::WorkerShared> shared_;
  AccessWatch access_;
  dp::Worker<SimIo> worker_;
  std::map<uint64_t, std::unique_ptr<dp::BackendMap>> maps_;  // a map that it has passed is freed at once
  std::map<uint32_t, dp::ServiceEntry> settings_;             // of each service, as last seen
  std::vector<Seen> seen_;                                    // by endpoint
  std::map<uint32_t, Watched> watched_;
  std::map<uint32_t, uint64_t> retries_;                      // by service, after the last turn
  uint64_t last_version_ = 0;
  const uint64_t begin_us_;
  bool running_ = true;
};

}  // namespace ringway::sim
