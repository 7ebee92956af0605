// Steering (bpf/steer.bpf.c): which worker's socket of an SO_REUSEPORT group gets a new connection. One object a listening
// address, because a socket array belongs to one group; all share the workers' loads, which the workers write themselves.
// Nothing is pinned: the kernel drops program and maps with the sockets. Main thread; the loads are written by the workers.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bpf/lb_abi.h"
#include "dataplane/feed/listener_sockets.h"

namespace ringway::dp {

class Steering {
 public:
  // `cpus`: for each worker the CPU it is pinned to, or -1.
  static absl::StatusOr<std::unique_ptr<Steering>> Start(std::vector<int> cpus, std::string log_folder);
  ~Steering();

  // Where a worker stores its sessions (steer_worker::sessions). Valid as long as this.
  std::atomic<uint64_t>* SessionsOf(uint32_t worker) const;

  // The worker on the CPU that took a connection goes first, unless it has much more to do; else the one with the fewest
  // sessions alone counts. A change releases all groups: steer them again.
  void PreferLocal(bool local);
  // Whether a CPU can have a worker of its own at all.
  bool AnyPinned() const;

  // New connections to this group of listening sockets, one a worker (-1: none), are steered from now on. AlreadyExists: a
  // process that had the sockets before still steers them; a later try succeeds.
  absl::Status Steer(const std::string& group, const std::vector<int>& sockets);
  // Back to the kernel's hash: before the sockets are given away, and when the group is gone. With one of its sockets the program
  // is detached too, else it stays and does nothing until the sockets close or another one is attached.
  void Release(const std::string& group, int socket = -1);
  void ReleaseAll();
  // Those that are not among these: their sockets are closed.
  void ReleaseOthers(const std::set<std::string>& groups);
  bool Steers(const std::string& group) const { return groups_.contains(group); }

  // Once a second: forgets connections that were given to a worker and never came.
  void Tick();

  std::array<uint64_t, STEER_REASONS> Counts() const;

 private:
  static constexpr size_t kStaleTicks = 5;
  struct Group;
  struct Mapped;
  Steering(std::vector<int> cpus, std::string log_folder);
  std::atomic_ref<uint32_t> Given(size_t worker) const;
  static void AddCounts(const Group& group, std::array<uint64_t, STEER_REASONS>& counts);

  const std::vector<int> cpus_;
  bool local_ = false;
  const std::string log_folder_;
  std::unique_ptr<Mapped> load_;
  std::map<std::string, std::unique_ptr<Group>> groups_;
  std::array<uint64_t, STEER_REASONS> counted_{};  // by groups that are gone
  std::deque<std::vector<uint32_t>> pending_;      // of the last ticks, by worker
};

}  // namespace ringway::dp
