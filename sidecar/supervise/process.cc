// fork and exec. Between the two only async-signal-safe calls (man 7 signal-safety): a resolver thread may hold any lock.
#include "sidecar/supervise/process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>

namespace ringway::sidecar {
namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What the child writes into the report pipe when it cannot become the program.
struct Failure {
  int error;
  char step[16];
};

// Everything the child needs, laid out before the fork.
struct Plan {
  const SpawnRequest* request;
  const char* path;
  char* const* argv;
  char* const* envp;
  pid_t parent;
  int report_fd;
};

[[noreturn]] void Report(const Plan& plan, const char* step) {
  Failure failure{errno, {}};
  std::strncpy(failure.step, step, sizeof(failure.step) - 1);
  if (write(plan.report_fd, &failure, sizeof(failure)) < 0) _exit(126);
  _exit(127);
}

void DropTo(const Plan& plan, const Credentials& who) {
  if (setgroups(who.groups.size(), who.groups.data()) != 0) Report(plan, "setgroups");
  if (setgid(who.gid) != 0) Report(plan, "setgid");
  if (setuid(who.uid) != 0) Report(plan, "setuid");
}

// Moves the three streams to 0, 1, 2 by way of numbers above them, as any of them may be any of the three.
void PlaceStreams(const Plan& plan) {
  const int wanted[3] = {plan.request->stdin_fd, plan.request->stdout_fd, plan.request->stderr_fd};
  int safe[3];
  for (int i = 0; i < 3; ++i) safe[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, 3);  // a closed stream stays closed
  for (int i = 0; i < 3; ++i) {
    if (safe[i] < 0) {
      close(i);
    } else if (dup2(safe[i], i) < 0) {
      Report(plan, "dup2");
    }
  }
}

// Handlers of the sidecar must not run in the child, nor ignored signals stay ignored in the program.
void ResetSignals() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void BecomeProgram(const Plan& plan) {
  if (setsid() < 0) Report(plan, "setsid");
  PlaceStreams(plan);
  syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
  if (!plan.request->directory.empty() && chdir(plan.request->directory.c_str()) != 0) Report(plan, "chdir");
  if (plan.request->credentials) DropTo(plan, *plan.request->credentials);
  // After setuid, which clears it. Not SIGKILL: servers take their own workers down with them.
  prctl(PR_SET_PDEATHSIG, plan.request->death_signal);
  if (getppid() != plan.parent) _exit(127);
  ResetSignals();
  execve(plan.path, plan.argv, plan.envp);
  Report(plan, "execve");
}

// A closed standard stream of ours would make the pipe end 0, 1 or 2; keep it clear of them.
int AboveStreams(int fd) {
  if (fd < 0 || fd > 2) return fd;
  const int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  close(fd);
  return moved;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::string PathOf(const std::vector<std::string>& environment) {
  for (const std::string& entry : environment) {
    if (entry.rfind("PATH=", 0) == 0) return entry.substr(5);
  }
  return kDefaultPath;
}

absl::StatusOr<std::string> FindProgram(const SpawnRequest& request) {
  const std::string& name = request.argv.front();
  if (name.find('/') != std::string::npos) return name;
  const std::string path = PathOf(request.environment);
  bool found_unusable = false;
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find(':', at), path.size());
    const std::string directory = path.substr(at, end - at);
    const std::string candidate = (directory.empty() ? "." : directory) + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    found_unusable = found_unusable || access(candidate.c_str(), F_OK) == 0;
    at = end + 1;
  }
  if (found_unusable) return absl::PermissionDeniedError(name + ": found in PATH but not executable");
  return absl::NotFoundError(name + ": not found in PATH=" + path);
}

absl::Status StatusOf(const Failure& failure, const SpawnRequest& request) {
  const std::string message =
      request.argv.front() + ": " + failure.step + ": " + std::strerror(failure.error);
  if (failure.error == ENOENT) return absl::NotFoundError(message);
  if (failure.error == EACCES || failure.error == EPERM || failure.error == ENOEXEC)
    return absl::PermissionDeniedError(message);
  return absl::InternalError(message);
}

// The fork itself, with every signal held back so that no handler of ours runs in the child.
pid_t Fork(const Plan& plan) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  const pid_t pid = fork();
  if (pid == 0) BecomeProgram(plan);
  const int error = errno;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

}  // namespace

absl::StatusOr<pid_t> Spawn(const SpawnRequest& request) {
  if (request.argv.empty()) return absl::InvalidArgumentError("no command to run");
  absl::StatusOr<std::string> path = FindProgram(request);
  if (!path.ok()) return path.status();
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return absl::InternalError(std::string("pipe: ") + std::strerror(errno));
  report[0] = AboveStreams(report[0]);
  report[1] = AboveStreams(report[1]);

  const std::vector<char*> argv = Pointers(request.argv);
  const std::vector<char*> envp = Pointers(request.environment);
  const Plan plan{&request, path->c_str(), argv.data(), envp.data(), getpid(), report[1]};
  const pid_t pid = Fork(plan);
  const int fork_error = errno;
  close(report[1]);
  Failure failure{};
  ssize_t got = 0;
  if (pid > 0) {
    do got = read(report[0], &failure, sizeof(failure));
    while (got < 0 && errno == EINTR);
  }
  close(report[0]);
  if (pid < 0) return absl::InternalError(std::string("fork: ") + std::strerror(fork_error));
  if (got == 0) return pid;
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return StatusOf(failure, request);
}

absl::StatusOr<Credentials> FindUser(const std::string& user) {
  Credentials who;
  const bool numeric = !user.empty() && user.find_first_not_of("0123456789") == std::string::npos;
  const passwd* entry = numeric ? getpwuid(static_cast<uid_t>(std::stoul(user))) : getpwnam(user.c_str());
  if (entry == nullptr) {
    if (!numeric) return absl::NotFoundError("no such user: " + user);
    who.uid = static_cast<uid_t>(std::stoul(user));
    who.gid = static_cast<gid_t>(who.uid);
    return who;
  }
  who.uid = entry->pw_uid;
  who.gid = entry->pw_gid;
  const std::string name = entry->pw_name;
  int count = 64;
  who.groups.resize(static_cast<size_t>(count));
  if (getgrouplist(name.c_str(), who.gid, who.groups.data(), &count) < 0) count = 64;
  who.groups.resize(static_cast<size_t>(count));
  return who;
}

std::vector<std::string> EnvironmentWith(const std::vector<std::pair<std::string, std::string>>& extra) {
  std::map<std::string, std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string::npos) merged[text.substr(0, equals)] = text.substr(equals + 1);
  }
  for (const auto& [key, value] : extra) merged[key] = value;
  std::vector<std::string> environment;
  for (const auto& [key, value] : merged) environment.push_back(key + "=" + value);
  return environment;
}

}  // namespace ringway::sidecar
