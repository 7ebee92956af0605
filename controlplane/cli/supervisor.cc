// The loop, the exits of children, and the stop; see supervisor.h.
#include "controlplane/cli/supervisor.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/log/log.h"
#include "controlplane/cli/notify.h"
#include "controlplane/exit_codes.h"

namespace ringway::cp {
namespace {

using std::chrono::milliseconds;

// systemd is told that the unit is up when the dataplane serves, or after this time when there is nothing to serve yet.
constexpr milliseconds kReadyAfter{5000};
constexpr milliseconds kKillAgain{1000};

}  // namespace

Supervisor::Supervisor(UpPlan plan, UpLock lock)
    : plan_(std::move(plan)), lock_(std::move(lock)), control_(plan_.control), data_(plan_.data) {
  taking_over_ = plan_.replaces;
  if (plan_.replaces) control_.start_at = Clock::time_point::max();
}

int Supervisor::Run() {
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2}) sigaddset(&mask, signal);
  sigprocmask(SIG_BLOCK, &mask, &old_mask_);
  signals_ = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  began_at_ = Clock::now();
  if (lock_.held()) TakeLock();
  while (!Done()) {
    StartDue();
    Wait();
    signalfd_siginfo info;
    while (read(signals_, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) OnSignal(static_cast<int>(info.ssi_signo));
    OnStatus();
    Reap();
    socket_.Serve();
    if (Clock::now() >= lock_at_) other_refuses_ ? ReplaceOther() : TakeLock();
    CheckDeadline();
    JudgeFirstStart();
    TellReady();
    if (stopping_) Stop();
    KillLate();
  }
  socket_.Close();
  lock_.Release();
  close(signals_);
  sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
  return exit_code_;
}

bool Supervisor::Done() const {
  return (stopping_ || replaced_) && !control_.running() && !data_.running() && !next_ && leaving_.empty();
}

std::vector<Child*> Supervisor::Dataplanes() {
  std::vector<Child*> all = {&data_};
  if (next_) all.push_back(&*next_);
  for (Child& child : leaving_) all.push_back(&child);
  return all;
}

void Supervisor::StartDue() {
  if (stopping_ || replaced_) return;
  if (!control_.running() && Clock::now() >= control_.start_at && control_.Start(old_mask_)) FinishUpgrade();
  if (data_.running() || next_ || Clock::now() < data_.start_at) return;
  if (handed_away_ && !leaving_.empty() && SuccessorListens()) {
    data_.start_at = Clock::now() + Child::kBackOffMax;
    return;
  }
  handed_away_ = false;
  std::vector<std::string> more;
  if (std::exchange(taking_over_, false)) more.push_back("--take-over");
  data_.Start(old_mask_, more);
}

// Until something happens or is due.
void Supervisor::Wait() {
  std::vector<pollfd> polled = {{signals_, POLLIN, 0}};
  for (const Child* child : Dataplanes()) {
    if (child->status_fd >= 0) polled.push_back({child->status_fd, POLLIN, 0});
  }
  socket_.AddTo(polled);
  Clock::time_point due = std::min({kill_at_, lock_at_, socket_.due(), Clock::now() + std::chrono::seconds(60)});
  if (verdict_ && !stopping_) due = std::min(due, verdict_at_);
  if (!stopping_ && !replaced_ && !control_.running()) due = std::min(due, control_.start_at);
  if (!stopping_ && !replaced_ && !data_.running() && !next_) due = std::min(due, data_.start_at);
  if (upgrade_) due = std::min(due, upgrade_->deadline);
  if (AwaitsTakeOver() && data_.running()) due = std::min(due, data_.started_at + kTakeOver);
  if (!ready_told_) due = std::min(due, began_at_ + kReadyAfter);
  const auto wait = std::chrono::duration_cast<milliseconds>(due - Clock::now()).count();
  poll(polled.data(), polled.size(), static_cast<int>(std::max<int64_t>(0, wait + 1)));
}

void Supervisor::Reap() {
  int status = 0;
  for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
    OnStatus();  // what a child said last explains its end
    OnExit(pid, status);
  }
}

void Supervisor::OnExit(pid_t pid, int status) {
  if (pid == control_.pid) return OnControlExit(status);
  if (next_ && pid == next_->pid) return OnNextExit(status);
  if (pid == data_.pid) return OnDataExit(status);
  const auto left = std::find_if(leaving_.begin(), leaving_.end(), [pid](const Child& one) { return one.pid == pid; });
  if (left == leaving_.end()) return;  // an orphan left to PID 1
  spdlog::info("the dataplane that had handed over, process {}, has ended: {}", pid, HowItEnded(status));
  leaving_.erase(left);
  // It had handed over to a process that is none of ours: take over from that one, or from nobody.
  if (!stopping_ && !replaced_ && !data_.running() && leaving_.empty() && handed_away_) {
    data_.start_at = Clock::now() + Child::kBackOffMax;
  }
}

void Supervisor::OnControlExit(int status) {
  control_.Ended();
  if (stopping_) return spdlog::info("{} has stopped: {}", control_.program.name, HowItEnded(status));
  if (replaced_) return FinishReplaced();
  if (std::exchange(control_restarts_, false)) {
    spdlog::info("{} has stopped: {}; it is started anew", control_.program.name, HowItEnded(status));
    control_.start_at = Clock::now();
    kill_at_ = Clock::time_point::max();
    return;
  }
  if (WillNotWork(control_, status)) {
    verdict_ = status;
    verdict_at_ = Clock::now() + kFirstStart;
  }
  RestartLater(control_, status);
}

void Supervisor::OnDataExit(int status) {
  const bool first = !ever_served_ && WillNotWork(data_, status);
  data_.Ended();
  if (stopping_ || replaced_) return spdlog::info("{} has stopped: {}", data_.program.name, HowItEnded(status));
  if (first || (AwaitsTakeOver() && !data_.settled())) return GiveUp(data_, status);
  RestartLater(data_, status);
  if (upgrade_ && !next_) FailUpgrade("the new dataplane ended before it served: " + HowItEnded(status) + "; it is started again");
}

void Supervisor::RestartLater(Child& child, int status) {
  const bool serves = &child == &control_ && data_.word == "serving";
  spdlog::error("{} has ended: {}; it is started again in {} ms{}", child.program.name, HowItEnded(status), child.back_off.count(),
                serves ? "; meanwhile the dataplane goes on with what it has" : &child == &data_ ? "; the connections it proxied are lost" : "");
  child.back_off = std::min(child.back_off * 2, Child::kBackOffMax);
}

bool Supervisor::WillNotWork(const Child& child, int status) const {
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  return child.starts == 1 && Clock::now() - child.started_at < kFirstStart && code >= 64 && code <= 78;
}

void Supervisor::GiveUp(const Child& child, int status) {
  const bool refused = &child == &data_ && AwaitsTakeOver();
  spdlog::critical("{} {}: {}; {}, stopping", child.program.name, refused ? "has not taken over" : "cannot run",
                   data_.reason.empty() ? HowItEnded(status) : data_.reason,
                   refused ? "the other `ringway up` goes on" : "nothing here can serve");
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : kExitInternal;
  stopping_ = true;
}

// A control plane that cannot run is the end only if there is no dataplane that serves without it.
void Supervisor::JudgeFirstStart() {
  if (!verdict_ || stopping_) return;
  if (control_.running()) {  // a later start: it lives, or its end is judged
    verdict_at_ = std::max(verdict_at_, control_.started_at + kFirstStart);
    if (Clock::now() < control_.started_at + kFirstStart) return;
    return ForgetVerdict();
  }
  const bool none = data_.word == "waiting" || Clock::now() >= verdict_at_;
  if (!ever_served_ && none) return GiveUp(control_, *verdict_);
  if (!ever_served_) return;
  spdlog::error("{} cannot run ({}), but the dataplane serves from its kept snapshot: trying again for as long as it takes",
                control_.program.name, HowItEnded(*verdict_));
  ForgetVerdict();
}

void Supervisor::ForgetVerdict() {
  verdict_.reset();
  verdict_at_ = Clock::time_point::max();
}

void Supervisor::OnSignal(int signal) {
  if (signal == SIGCHLD) return;
  if (signal == SIGHUP) return control_.Signal(SIGHUP);
  if (signal == SIGUSR1) {  // logrotate: the access log is opened again
    for (Child* child : Dataplanes()) child->Signal(SIGUSR1);
    return;
  }
  if (signal == SIGUSR2) {
    if (plan_.upgrade_command.empty()) return;
    Child upgrade({.name = "ringway upgrade", .arguments = plan_.upgrade_command, .stop_wait = milliseconds(0)});
    upgrade.Start(old_mask_);
    return;
  }
  if (!std::exchange(stopping_, true)) {
    stop_asked_at_ = Clock::now();
    spdlog::info("stopping on {}; once more to stop at once", strsignal(signal));
    NotifySystemd("STOPPING=1");
    for (Child* child : Dataplanes()) child->Signal(SIGTERM);
    kill_at_ = Clock::now() + data_.program.stop_wait;
    return;
  }
  if (Clock::now() - stop_asked_at_ < kSameStop) return;
  for (Child* child : Dataplanes()) child->Signal(SIGKILL);
  control_.Signal(SIGKILL);
}

// The last started first: the dataplane ends its sessions while the control plane still answers.
void Supervisor::Stop() {
  if (stop_asked_at_ == Clock::time_point{}) {  // not by a signal
    stop_asked_at_ = Clock::now();
    for (Child* child : Dataplanes()) child->Signal(SIGTERM);
    kill_at_ = Clock::now() + data_.program.stop_wait;
  }
  if (data_.running() || next_ || !leaving_.empty() || std::exchange(control_told_, true)) return;
  control_.Signal(SIGTERM);
  kill_at_ = Clock::now() + control_.program.stop_wait;
}

void Supervisor::KillLate() {
  if (Clock::now() < kill_at_) return;
  kill_at_ = Clock::now() + kKillAgain;
  const auto end = [](const Child& child) {
    if (!child.running()) return;
    spdlog::error("{}, process {}, has not stopped within {} ms and is killed", child.program.name, child.pid, child.program.stop_wait.count());
    child.Signal(SIGKILL);
  };
  if (control_told_ || (!stopping_ && (control_restarts_ || replaced_))) return end(control_);
  for (const Child* child : Dataplanes()) end(*child);
}

void Supervisor::TellReady() {
  if (ready_told_ || (!ever_served_ && Clock::now() < began_at_ + kReadyAfter)) return;
  ready_told_ = true;
  NotifySystemd(ever_served_ ? "READY=1\nSTATUS=the dataplane serves" : "READY=1\nSTATUS=the dataplane has nothing to serve yet");
}

}  // namespace ringway::cp
