// `ringway up`: control plane and dataplane of one host as supervised children. Either may die and come back without the other,
// and the dataplane may be replaced by a new one that takes its listening sockets (upgrade.cc); the old one then stays a child
// until its last session has ended. Works as PID 1: reaps whatever is left to it. One thread, signals as a file descriptor,
// bounded back-off, nothing of the network.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/cli/child.h"
#include "controlplane/cli/up_lock.h"
#include "controlplane/cli/up_socket.h"

namespace ringway::cp {

struct UpPlan {
  ChildProgram control;
  ChildProgram data;
  std::string run_dir{};  // of up.sock and up.lock; empty: neither (tests)
  std::string config{};   // told to `ringway upgrade`, which checks it first
  std::vector<std::string> upgrade_command{};  // run at SIGUSR2
  bool replaces = false;  // another `ringway up` holds the lock: its dataplane is taken over, then it is told to go
};

class Supervisor {
 public:
  // A first start that ends sooner than this with a code that says "will not work" (sysexits 64..78) ends `up` as well, when there
  // is no dataplane that serves.
  static constexpr std::chrono::milliseconds kFirstStart{3000};
  // Two signals within this time are one stop: timeout(1), for one, signals the process and then its group.
  static constexpr std::chrono::milliseconds kSameStop{200};
  // For a new dataplane to take over, when `ringway upgrade` does not say otherwise.
  static constexpr std::chrono::milliseconds kTakeOver{15000};

  explicit Supervisor(UpPlan plan, UpLock lock = {});

  // Started in this order, stopped in the opposite one. Until SIGTERM, SIGINT or SIGQUIT: 0; a second such signal kills at once.
  // Replaced by another `ringway up`: 0, when the last session has ended. Else the exit code of a first start that failed.
  // SIGHUP goes to the control plane, SIGUSR2 is `ringway upgrade`.
  int Run();

 private:
  using Clock = Child::Clock;
  struct Upgrade {
    uint64_t client;
    Clock::time_point deadline;
  };

  // supervisor.cc
  void StartDue();
  void Wait();
  void Reap();
  void OnExit(pid_t pid, int status);
  void OnControlExit(int status);
  void OnDataExit(int status);
  void RestartLater(Child& child, int status);
  bool WillNotWork(const Child& child, int status) const;
  void GiveUp(const Child& child, int status);
  void JudgeFirstStart();
  void ForgetVerdict();
  void OnSignal(int signal);
  void Stop();
  void KillLate();
  void TellReady();
  bool Done() const;
  std::vector<Child*> Dataplanes();
  // Another `ringway up` still has the run directory, and our dataplane is to take over from that one's.
  bool AwaitsTakeOver() const { return plan_.replaces && !lock_.held() && lock_at_ == Clock::time_point::max(); }

  // upgrade.cc
  void OnStatus();
  void OnDataStatus();
  void OnRequest(const boost::json::object& request, uint64_t client);
  void BeginUpgrade(uint64_t client, std::chrono::milliseconds timeout);
  void OnNextStatus();
  void OnNextExit(int status);
  void Promote();
  void RetireData();
  void RestartControl();
  void FinishUpgrade();
  void FailUpgrade(const std::string& words);
  void CheckDeadline();
  void BeReplaced(uint64_t client);
  void FinishReplaced();
  void ReplaceOther();
  void TakeLock();
  bool SuccessorListens() const;

  const UpPlan plan_;
  UpLock lock_;
  UpSocket socket_;
  Child control_;
  Child data_;
  std::optional<Child> next_;   // started to take over from data_
  std::vector<Child> leaving_;  // have handed over, end with their last session
  std::optional<Upgrade> upgrade_;
  std::optional<uint64_t> replaced_by_;  // the client to answer when the control plane has stopped
  bool replaced_ = false;
  bool taking_over_ = false;      // the next start of data_ is with --take-over
  bool handed_away_ = false;      // to a process of another's; not started again while that one listens
  bool other_refuses_ = false;     // the `ringway up` that is to be replaced
  bool control_restarts_ = false;  // it was told to stop and is started again
  bool ever_served_ = false;
  bool ready_told_ = false;
  sigset_t old_mask_{};
  int signals_ = -1;
  int exit_code_ = 0;
  bool stopping_ = false;
  bool control_told_ = false;  // stopping: its turn has come
  Clock::time_point began_at_{};
  Clock::time_point stop_asked_at_{};
  Clock::time_point kill_at_{Clock::time_point::max()};
  Clock::time_point lock_at_{Clock::time_point::max()};
  std::optional<int> verdict_;  // of a control plane whose first start failed, until it is known whether a later one or the dataplane works
  Clock::time_point verdict_at_{Clock::time_point::max()};
};

}  // namespace ringway::cp
