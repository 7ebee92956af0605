// See supervisor.h.
#include "controlplane/cli/supervisor.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/log/log.h"

namespace ringway::cp {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status)) return std::string("killed by ") + strsignal(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

// In the child: own process group, so that a terminal's Ctrl-C reaches only the supervisor and the order of stopping holds;
// and an end with the supervisor, even when that is killed.
[[noreturn]] void Become(const ChildProgram& program, const sigset_t& mask, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(0);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  std::vector<char*> arguments;
  for (const std::string& argument : program.arguments) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  const int error = errno;
  dprintf(STDERR_FILENO, "ringway: cannot start %s: %s\n", arguments[0], std::strerror(error));
  _exit(error == ENOENT ? 69 : 71);
}

}  // namespace

Supervisor::Supervisor(std::vector<ChildProgram> programs) {
  for (ChildProgram& program : programs) {
    children_.emplace_back();
    children_.back().program = std::move(program);
  }
  stop_at_ = children_.size();
}

int Supervisor::Run() {
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP}) sigaddset(&mask, signal);
  sigprocmask(SIG_BLOCK, &mask, &old_mask_);
  const int signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  for (;;) {
    for (Child& child : children_) {
      if (!stopping_ && child.pid == 0 && Clock::now() >= child.start_at) Start(child);
    }
    if (stopping_) {
      StopNext();
      if (std::all_of(children_.begin(), children_.end(), [](const Child& child) { return child.pid == 0; })) break;
    }
    pollfd readable{signals, POLLIN, 0};
    poll(&readable, 1, NextWait());
    signalfd_siginfo info;
    while (read(signals, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) OnSignal(static_cast<int>(info.ssi_signo));
    Reap();
    KillLate();
  }
  close(signals);
  sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
  return exit_code_;
}

void Supervisor::Start(Child& child) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) Become(child.program, old_mask_, parent);
  child.started_at = Clock::now();
  ++child.starts;
  if (pid < 0) {
    spdlog::error("cannot start {}: {}", child.program.name, std::strerror(errno));
    child.start_at = Clock::now() + kBackOffMax;
    return;
  }
  child.pid = pid;
  spdlog::info("{} runs as process {}", child.program.name, pid);
}

void Supervisor::Reap() {
  int status = 0;
  for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
    const auto child = std::find_if(children_.begin(), children_.end(), [pid](const Child& one) { return one.pid == pid; });
    if (child != children_.end()) OnExit(*child, status);  // anyone else was an orphan left to PID 1
  }
}

void Supervisor::OnExit(Child& child, int status) {
  child.pid = 0;
  const auto lived = Clock::now() - child.started_at;
  if (stopping_) return spdlog::info("{} has stopped: {}", child.program.name, HowItEnded(status));
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  if (child.starts == 1 && lived < kFirstStart && code >= 64 && code <= 78) {
    spdlog::critical("{} cannot run: {}; stopping", child.program.name, HowItEnded(status));
    exit_code_ = code;
    stopping_ = true;
    return;
  }
  if (lived >= kStable) child.back_off = kBackOffMin;
  child.start_at = Clock::now() + child.back_off;
  spdlog::error("{} has ended: {}; it is started again in {} ms", child.program.name, HowItEnded(status), child.back_off.count());
  child.back_off = std::min(child.back_off * 2, kBackOffMax);
}

void Supervisor::OnSignal(int signal) {
  if (signal == SIGCHLD) return;
  if (signal == SIGHUP) {
    if (!children_.empty() && children_[0].pid != 0) kill(children_[0].pid, SIGHUP);
    return;
  }
  if (!std::exchange(stopping_, true)) {
    stop_asked_at_ = Clock::now();
    spdlog::info("stopping on {}; once more to stop at once", strsignal(signal));
    return;
  }
  if (Clock::now() - stop_asked_at_ < kSameStop) return;
  for (const Child& child : children_) {
    if (child.pid != 0) kill(child.pid, SIGKILL);
  }
}

// One after the other, the last started first: the dataplane ends its sessions while the control plane still answers.
void Supervisor::StopNext() {
  while (stop_at_ > 0 && (stop_at_ == children_.size() || children_[stop_at_].pid == 0)) {
    const Child& child = children_[--stop_at_];
    if (child.pid == 0) continue;
    kill(child.pid, SIGTERM);
    kill_at_ = Clock::now() + child.program.stop_wait;
  }
}

void Supervisor::KillLate() {
  if (!stopping_ || stop_at_ == children_.size() || Clock::now() < kill_at_) return;
  const Child& child = children_[stop_at_];
  if (child.pid == 0) return;
  spdlog::error("{} has not stopped within {} ms and is killed", child.program.name, child.program.stop_wait.count());
  kill(child.pid, SIGKILL);
  kill_at_ = Clock::now() + milliseconds(1000);
}

int Supervisor::NextWait() const {
  auto wait = milliseconds(60000);
  const auto until = [&wait](Clock::time_point when) {
    wait = std::min(wait, std::max(milliseconds(0), duration_cast<milliseconds>(when - Clock::now()) + milliseconds(1)));
  };
  if (stopping_ && stop_at_ < children_.size()) until(kill_at_);
  for (const Child& child : children_) {
    if (!stopping_ && child.pid == 0) until(child.start_at);
  }
  return static_cast<int>(wait.count());
}

}  // namespace ringway::cp
