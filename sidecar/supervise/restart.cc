// Every transition of a supervised program is here.
#include "sidecar/supervise/restart.h"

#include <sys/wait.h>

#include <algorithm>
#include <string>

#include "sidecar/supervise/signal_names.h"

namespace ringway::sidecar {
namespace {

// A program that ran this long before it ended is restarted without a growing delay.
constexpr std::chrono::milliseconds kStableRun{10000};

}  // namespace

void RestartMachine::OnStarted() {
  state_ = State::kStarting;
  if (rules_.start_time.count() == 0) OnStayedUp();
}

void RestartMachine::OnStayedUp() {
  state_ = State::kRunning;
  starts_failed_ = 0;
  start_backoff_.Reset();
}

RestartMachine::Verdict RestartMachine::OnEnded(int wait_status, std::chrono::milliseconds uptime) {
  if (state_ == State::kStarting && uptime < rules_.start_time) return RetryStart();
  const bool again = rules_.restart == Restart::kAlways ||
                     (rules_.restart == Restart::kOnFailure && !Expected(wait_status));
  if (!again) {
    state_ = State::kExited;
    return {Verdict::Next::kDone, {}};
  }
  if (uptime >= kStableRun) run_backoff_.Reset();
  state_ = State::kBackoff;
  return {Verdict::Next::kRestart, run_backoff_.Next()};
}

RestartMachine::Verdict RestartMachine::OnStartFailed() { return RetryStart(); }

RestartMachine::Verdict RestartMachine::RetryStart() {
  if (++starts_failed_ > rules_.start_retries_max) {
    state_ = State::kFatal;
    return {Verdict::Next::kFatal, {}};
  }
  state_ = State::kBackoff;
  return {Verdict::Next::kRestart, start_backoff_.Next()};
}

bool RestartMachine::Expected(int wait_status) const {
  if (!WIFEXITED(wait_status)) return false;
  const auto& codes = rules_.expected_exit_codes;
  return std::find(codes.begin(), codes.end(), WEXITSTATUS(wait_status)) != codes.end();
}

int ExitCodeOf(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

std::string DescribeEnd(int wait_status) {
  if (WIFSIGNALED(wait_status)) return "was killed by " + SignalName(WTERMSIG(wait_status));
  return "exited with status " + std::to_string(WEXITSTATUS(wait_status));
}

}  // namespace ringway::sidecar
