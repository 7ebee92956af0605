// See child.h.
#include "controlplane/cli/child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "common/log/log.h"

namespace ringway::cp {
namespace {

// In the child: own process group, so that a terminal's Ctrl-C reaches only the supervisor and the order of stopping holds;
// and an end with the supervisor, even when that is killed.
[[noreturn]] void Become(std::vector<std::string> texts, int status_fd, const sigset_t& mask, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(0);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  if (status_fd >= 0) fcntl(status_fd, F_SETFD, 0);
  std::vector<char*> arguments;
  arguments.reserve(texts.size() + 1);
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  const int error = errno;
  dprintf(STDERR_FILENO, "ringway: cannot start %s: %s\n", arguments[0], std::strerror(error));
  _exit(error == ENOENT ? 69 : 71);
}

}  // namespace

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return "killed by SIGKILL (by hand, or by the kernel for want of memory: dmesg tells)";
  if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

Child::Child(Child&& other) noexcept { *this = std::move(other); }

Child& Child::operator=(Child&& other) noexcept {
  if (this == &other) return *this;
  CloseStatus();
  program = std::move(other.program);
  pid = std::exchange(other.pid, 0);
  started_at = other.started_at;
  start_at = other.start_at;
  back_off = other.back_off;
  starts = other.starts;
  status_fd = std::exchange(other.status_fd, -1);
  word = std::move(other.word);
  reason = std::move(other.reason);
  said_ = std::move(other.said_);
  return *this;
}

Child::~Child() { CloseStatus(); }

void Child::CloseStatus() {
  if (status_fd >= 0) close(std::exchange(status_fd, -1));
}

bool Child::Start(const sigset_t& mask, const std::vector<std::string>& more_arguments) {
  std::vector<std::string> arguments = program.arguments;
  arguments.insert(arguments.end(), more_arguments.begin(), more_arguments.end());
  int ends[2] = {-1, -1};
  if (program.tells && pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
    arguments.insert(arguments.end(), {"--status-fd", std::to_string(ends[1])});
  }
  const pid_t parent = getpid();
  const pid_t started = fork();
  if (started == 0) Become(std::move(arguments), ends[1], mask, parent);
  const int error = errno;
  if (ends[1] >= 0) close(ends[1]);
  CloseStatus();
  status_fd = ends[0];
  started_at = Clock::now();
  ++starts;
  word.clear();
  reason.clear();
  said_.clear();
  if (started < 0) {
    spdlog::error("cannot start {}: {}", program.name, std::strerror(error));
    start_at = Clock::now() + kBackOffMax;
    return false;
  }
  pid = started;
  spdlog::info("{} runs as process {}", program.name, pid);
  return true;
}

void Child::Signal(int number) const {
  if (pid != 0) kill(pid, number);
}

bool Child::ReadStatus() {
  char bytes[512];
  while (status_fd >= 0) {
    const ssize_t size = read(status_fd, bytes, sizeof(bytes));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) break;
    if (size == 0) CloseStatus();
    else said_.append(bytes, static_cast<size_t>(size));
  }
  bool news = false;
  for (size_t end = said_.find('\n'); end != std::string::npos; end = said_.find('\n')) {
    const std::string line = said_.substr(0, end);
    said_.erase(0, end + 1);
    const size_t space = std::min(line.find(' '), line.size());
    word = line.substr(0, space);
    reason = space < line.size() ? line.substr(space + 1) : "";
    news = true;
  }
  return news;
}

void Child::Ended() {
  ReadStatus();
  pid = 0;
  CloseStatus();
  if (Clock::now() - started_at >= kStable) back_off = kBackOffMin;
  start_at = Clock::now() + back_off;
}

}  // namespace ringway::cp
