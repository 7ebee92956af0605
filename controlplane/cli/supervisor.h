// `ringway up`: the two programs of one host as supervised children. Either may die and come back without the other. Works as
// PID 1: reaps whatever is left to it. One thread, signals as a file descriptor, bounded back-off, nothing of the network.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace ringway::cp {

struct ChildProgram {
  std::string name;                    // in log lines
  std::vector<std::string> arguments;  // the first is the file
  std::chrono::milliseconds stop_wait; // after SIGTERM; then SIGKILL
};

class Supervisor {
 public:
  static constexpr std::chrono::milliseconds kBackOffMin{100};
  static constexpr std::chrono::milliseconds kBackOffMax{5000};
  // A child that lived this long begins again at the smallest back-off.
  static constexpr std::chrono::milliseconds kStable{10000};
  // A first start that ends sooner than this with a code that says "will not work" (sysexits 64..78) ends `up` as well.
  static constexpr std::chrono::milliseconds kFirstStart{3000};

  // Started in this order, stopped in the opposite one. SIGHUP goes to the first.
  explicit Supervisor(std::vector<ChildProgram> programs);

  // Two signals within this time are one stop: timeout(1), for one, signals the process and then its group.
  static constexpr std::chrono::milliseconds kSameStop{200};

  // Until SIGTERM, SIGINT or SIGQUIT: 0. A second such signal kills at once. Else the exit code of a first start that failed.
  int Run();

 private:
  using Clock = std::chrono::steady_clock;
  struct Child {
    ChildProgram program;
    pid_t pid = 0;  // 0: not running
    Clock::time_point started_at{};
    Clock::time_point start_at{};  // when not running
    std::chrono::milliseconds back_off = kBackOffMin;
    unsigned starts = 0;
  };

  void Start(Child& child);
  void Reap();
  void OnExit(Child& child, int status);
  void OnSignal(int signal);
  void StopNext();
  void KillLate();
  // Milliseconds until something has to be done.
  int NextWait() const;

  std::vector<Child> children_;
  sigset_t old_mask_{};
  int exit_code_ = 0;
  bool stopping_ = false;
  Clock::time_point stop_asked_at_{};
  size_t stop_at_ = 0;  // children [0, stop_at_) have not been told to stop yet
  Clock::time_point kill_at_{};
};

}  // namespace ringway::cp
