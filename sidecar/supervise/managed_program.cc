// In the order of a program's life: start, end, restart or not, stop.
#include "sidecar/supervise/managed_program.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "common/log/log.h"
#include "sidecar/supervise/signal_names.h"
#include "sidecar/supervise/stop_signal.h"

namespace ringway::sidecar {
namespace {

constexpr std::chrono::milliseconds kGroupPoll{10};

// A stream of the program as a descriptor; `opened` says that it must be closed after the start.
struct Stream {
  int fd = -1;
  bool opened = false;
};

absl::StatusOr<Stream> OpenOutput(const Output& output) {
  if (output.to == Output::To::kStdout) return Stream{1, false};
  if (output.to == Output::To::kStderr) return Stream{2, false};
  const char* path = output.to == Output::To::kNull ? "/dev/null" : output.path.c_str();
  const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
  if (fd < 0) return absl::InternalError(std::string(path) + ": " + std::strerror(errno));
  return Stream{fd, true};
}

void Close(const Stream& stream) {
  if (stream.opened) close(stream.fd);
}

// When the sidecar is killed nobody is left to look what the program has become: its name at the start decides.
int DeathSignalOf(const Program& program) {
  if (program.stop_signal != 0) return program.stop_signal;
  const std::string& path = program.argv.front();
  const int graceful = GracefulSignalOf(path.substr(path.rfind('/') + 1));
  return graceful != 0 ? graceful : SIGTERM;
}

absl::StatusOr<pid_t> SpawnProgram(const Program& program, const std::vector<std::string>& environment) {
  SpawnRequest request;
  request.argv = program.argv;
  request.environment = environment;
  request.directory = program.directory;
  request.death_signal = DeathSignalOf(program);
  if (!program.user.empty()) {
    absl::StatusOr<Credentials> who = FindUser(program.user);
    if (!who.ok()) return who.status();
    request.credentials = *who;
  }
  absl::StatusOr<Stream> output = OpenOutput(program.standard_output);
  if (!output.ok()) return output.status();
  absl::StatusOr<Stream> error = OpenOutput(program.standard_error);
  const Stream input = program.keeps_stdin ? Stream{0, false} : Stream{open("/dev/null", O_RDONLY | O_CLOEXEC), true};
  absl::StatusOr<pid_t> pid = 0;
  if (error.ok()) {
    request.stdin_fd = input.fd;
    request.stdout_fd = output->fd;
    request.stderr_fd = error->fd;
    pid = Spawn(request);
    Close(*error);
  } else {
    pid = error.status();
  }
  Close(*output);
  Close(input);
  return pid;
}

std::vector<std::pair<std::string, std::string>> Merge(std::vector<std::pair<std::string, std::string>> base,
                                                       const std::map<std::string, std::string>& over) {
  base.insert(base.end(), over.begin(), over.end());
  return base;
}

// What a shell would exit with when it could not start a command.
int ExitCodeOfFailure(const absl::Status& why) {
  if (why.code() == absl::StatusCode::kNotFound) return 127;
  return why.code() == absl::StatusCode::kPermissionDenied ? 126 : 1;
}

}  // namespace

ManagedProgram::ManagedProgram(boost::asio::io_context& io, Reaper& reaper, Program program,
                               std::vector<std::pair<std::string, std::string>> environment)
    : program_(std::move(program)),
      environment_(EnvironmentWith(Merge(std::move(environment), program_.environment))),
      reaper_(reaper),
      machine_(program_.rules),
      timer_(io),
      stop_timer_(io),
      group_timer_(io) {}

void ManagedProgram::Start() {
  if (group_ > 0) kill(-group_, SIGKILL);  // what is left of the last run would hold its ports
  absl::StatusOr<pid_t> pid = SpawnProgram(program_, environment_);
  if (pid.ok()) {
    OnSpawned(*pid);
  } else {
    OnSpawnFailed(pid.status());
  }
}

void ManagedProgram::OnSpawned(pid_t pid) {
  pid_ = group_ = pid;
  started_ = std::chrono::steady_clock::now();
  reaper_.Watch(pid, [this](int status) { OnEnded(status); });
  machine_.OnStarted();
  spdlog::info("program {}: started, pid {}: {}", program_.name, pid, program_.argv.front());
  if (machine_.state() == RestartMachine::State::kStarting) {
    timer_.expires_after(program_.rules.start_time);
    timer_.async_wait([this, pid](const boost::system::error_code& error) {
      if (!error && pid_ == pid) machine_.OnStayedUp();
    });
  }
  events.on_started();
}

void ManagedProgram::OnSpawnFailed(const absl::Status& why) {
  spdlog::error("program {}: cannot be started: {}", program_.name, std::string(why.message()));
  Obey(machine_.OnStartFailed(), ExitCodeOfFailure(why), "cannot be started");
}

void ManagedProgram::OnEnded(int wait_status) {
  const auto uptime =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started_);
  pid_ = 0;
  last_status_ = wait_status;
  ended_once_ = true;
  timer_.cancel();
  if (stopping_) {
    spdlog::info("program {}: {}", program_.name, DescribeEnd(wait_status));
    events.on_ended(wait_status);
    AwaitGroup();
    return;
  }
  if (kill(-group_, SIGTERM) != 0) group_ = 0;  // its workers, now without a master; none, usually
  events.on_ended(wait_status);
  Obey(machine_.OnEnded(wait_status, uptime), ExitCodeOf(wait_status), DescribeEnd(wait_status));
}

void ManagedProgram::Obey(const RestartMachine::Verdict& verdict, int exit_code, const std::string& what) {
  using Next = RestartMachine::Verdict::Next;
  switch (verdict.next) {
    case Next::kDone:
      spdlog::info("program {}: {}, and is not started again", program_.name, what);
      events.on_final(exit_code);
      return;
    case Next::kFatal:
      spdlog::error("program {}: {}; given up after {} retries", program_.name, what, program_.rules.start_retries_max);
      events.on_given_up(exit_code);
      return;
    case Next::kRestart:
      spdlog::warn("program {}: {}; starting again in {} ms", program_.name, what, verdict.delay.count());
      timer_.expires_after(verdict.delay);
      timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error && !stopping_) Start();
      });
  }
}

void ManagedProgram::Stop() {
  stopping_ = true;
  timer_.cancel();
  ArmKill();
  if (pid_ == 0) {
    AwaitGroup();
    return;
  }
  const StopTarget target = ChooseStopTarget(pid_, program_.stop_signal);
  spdlog::info("program {}: sending {} to {}, up to {} ms to end", program_.name, SignalName(target.signal), target.pid,
               program_.stop_timeout.count());
  signalled_ = true;
  signal_sent_ = target.signal;
  kill(target.pid, target.signal);
}

void ManagedProgram::ArmKill() {
  stop_timer_.expires_after(program_.stop_timeout);
  stop_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || group_ == 0) return;
    if (pid_ > 0) {
      killed_ = true;
      spdlog::warn("program {}: still there after {} ms: SIGKILL", program_.name, program_.stop_timeout.count());
    }
    kill(-group_, SIGKILL);
  });
}

// The leader is gone; members of its group may not be.
void ManagedProgram::AwaitGroup() {
  if (group_ == 0 || kill(-group_, 0) != 0) {
    stop_timer_.cancel();
    group_ = 0;
    stopped_ = true;
    events.on_stopped();
    return;
  }
  if (!std::exchange(group_signalled_, true)) kill(-group_, SIGTERM);
  group_timer_.expires_after(kGroupPoll);
  group_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) AwaitGroup();
  });
}

void ManagedProgram::Forward(int signal) const {
  if (pid_ == 0) return;
  if (signal == SIGWINCH && ChooseStopTarget(pid_, program_.stop_signal).signal == SIGWINCH) return;
  kill(pid_, signal);
}

int ManagedProgram::ExitCodeAfterStop() const {
  if (!ended_once_) return 0;
  const int code = ExitCodeOf(last_status_);
  if (!signalled_) return code;
  if (killed_) return 128 + SIGKILL;
  return WIFSIGNALED(last_status_) || code == 128 + signal_sent_ ? 0 : code;
}

}  // namespace ringway::sidecar
