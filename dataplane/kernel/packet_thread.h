// The one thread that works on packet delivery's maps, links and flows. A turn, at most every 50 ms and at once for a new
// snapshot: look at the interfaces, write what changed, go over a batch of flows, publish the counts. However fast snapshots come,
// writing takes at most a fifth of the thread's time: the newest waits its turn. A write that fails is said once and tried again
// each second from what the maps then hold.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "common/api/feed.h"
#include "dataplane/kernel/flow_sweeper.h"
#include "dataplane/kernel/interfaces.h"
#include "dataplane/kernel/packet_limit_log.h"
#include "dataplane/kernel/packet_maps.h"
#include "dataplane/kernel/packet_plan.h"
#include "dataplane/kernel/packet_programs.h"
#include "dataplane/kernel/packet_stats.h"
#include "dataplane/kernel/packet_troubles.h"
#include "dataplane/kernel/packet_wanted.h"

namespace ringway::dp {

class PacketThread {
 public:
  using Snapshot = std::shared_ptr<const api::Snapshot>;
  using Clock = std::chrono::steady_clock;

  explicit PacketThread(std::unique_ptr<PacketPrograms> programs);
  ~PacketThread();  // ends the thread

  absl::Status Start();  // reads what the maps hold, then runs

  // Any thread.
  void Apply(Snapshot snapshot);
  void Drain();
  PacketStats Stats() const;
  uint64_t FlowsOf(uint64_t identity) const;
  uint64_t FlowsOpen() const;

 private:
  struct Attached {
    std::string name;
    api::PacketMode mode = api::PacketMode::kAuto;
    std::string how;
    std::string trouble;
  };
  // What FlowsOf needs, as of the last turn.
  struct Known {
    uint64_t flows = 0;
    bool settled = false;  // gets no new flows, and was counted since
  };

  void Run();
  void Take(Snapshot snapshot);
  void Turn(Clock::time_point now);
  void Sweep(Clock::time_point now);
  bool FlowsAreWaitedFor() const;
  bool FlowsLeft() const;
  bool StaysForFlows();
  void AttachInterfaces();
  void AttachOne(const Interface& interface, api::PacketMode mode);
  std::set<uint32_t> AttachAll(const api::Packet& packet);
  void SayHeaderless(const api::Packet& packet);
  void SayForwarding();
  void SayKept();
  void WriteMaps(Clock::time_point now);
  absl::Status WriteWanted(Clock::time_point now);
  Host HostNow();
  void LookAtWays();
  absl::Status Restore(Clock::time_point now);
  void RestSlots(Clock::time_point now);
  void Publish(Clock::time_point now);
  void SayLimits(const PacketStats& stats, Clock::time_point now);
  void PublishFlows();

  const std::unique_ptr<PacketPrograms> programs_;
  const PacketMaps maps_;

  // The thread's own.
  PacketPlanner planner_;
  FlowSweeper sweeper_;
  Interfaces interfaces_;
  std::map<uint32_t, Attached> attached_;  // by interface
  std::set<std::string> missing_;          // interfaces that are asked for and not there, as last said
  std::set<std::string> headerless_;       // those without an Ethernet header, likewise
  std::set<uint32_t> ways_;                // interfaces by which endpoints are reached, and answer
  PacketTroubles troubles_;
  Snapshot applied_;
  bool firewall_said_ = false;
  bool replan_ = false;
  bool attach_ = false;   // interfaces, or what is wanted of them, changed
  bool ending_ = false;   // no listener has packet delivery any more, flows are left
  bool restore_ = false;  // a write failed: what the maps hold is not known
  Clock::time_point retry_at_{};
  Clock::time_point published_at_{};
  Clock::time_point rested_{};  // the count by which slots were given back
  Clock::time_point written_{};  // what is applied was last written
  std::map<std::string, PacketTraffic> services_before_;   // as published before, for what is new
  std::map<uint64_t, PacketTraffic> endpoints_before_;
  PacketLimitLog limit_log_;
  std::string write_trouble_;
  std::string forwarding_trouble_;
  std::string kept_trouble_;  // settings that cannot be had now

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  bool draining_ = false;
  Clock::time_point take_at_{};  // the next snapshot, not before
  Snapshot newest_;
  Snapshot published_snapshot_;  // what `known_` is of
  PacketStats stats_;
  absl::flat_hash_map<uint64_t, Known> known_;
  uint64_t flows_open_ = 0;
  bool counted_since_write_ = false;  // since the last write
  std::thread thread_;
};

}  // namespace ringway::dp
