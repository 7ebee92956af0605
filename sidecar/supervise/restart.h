// The life of one program as supervisord defines it, without processes or clocks:
// http://supervisord.org/subprocess.html#process-states. Owned by the supervisor.
#pragma once

#include <chrono>

#include "common/backoff.h"
#include "sidecar/supervise/program.h"

namespace ringway::sidecar {

class RestartMachine {
 public:
  enum class State { kStopped, kStarting, kRunning, kBackoff, kExited, kFatal };
  struct Verdict {
    enum class Next { kRestart, kDone, kFatal };
    Next next = Next::kDone;
    std::chrono::milliseconds delay{0};  // for kRestart
  };

  explicit RestartMachine(const RestartRules& rules) : rules_(rules) {}

  State state() const { return state_; }
  void OnStarted();
  void OnStayedUp();  // start_time has passed
  // `wait_status` as waitpid gives it; `uptime` since OnStarted.
  Verdict OnEnded(int wait_status, std::chrono::milliseconds uptime);
  Verdict OnStartFailed();  // no process came to be

 private:
  Verdict RetryStart();
  bool Expected(int wait_status) const;

  const RestartRules rules_;
  State state_ = State::kStopped;
  int starts_failed_ = 0;
  Backoff start_backoff_{std::chrono::milliseconds(250), std::chrono::seconds(10)};
  Backoff run_backoff_{std::chrono::milliseconds(100), std::chrono::seconds(10)};
};

// The shell's view of a wait status: exit code, or 128 + signal.
int ExitCodeOf(int wait_status);
// "exited with status 3", "was killed by SIGKILL".
std::string DescribeEnd(int wait_status);

}  // namespace ringway::sidecar
