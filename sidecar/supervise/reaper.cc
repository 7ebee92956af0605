// waitpid(-1) until nobody is left; SIGCHLDs merge, so one signal may stand for many ends.
#include "sidecar/supervise/reaper.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "common/log/log.h"

namespace ringway::sidecar {

Reaper::Reaper(boost::asio::io_context& io) : signals_(io, SIGCHLD) {
  if (getpid() != 1 && prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    spdlog::warn("orphaned processes will not be reaped here: PR_SET_CHILD_SUBREAPER was refused");
  }
  Arm();
}

void Reaper::Watch(pid_t pid, Ended ended) { watched_[pid] = std::move(ended); }

void Reaper::Arm() {
  signals_.async_wait([this](const boost::system::error_code& error, int) {
    if (error) return;
    Arm();
    ReapAll();
  });
}

void Reaper::ReapAll() {
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto found = watched_.find(pid);
    if (found == watched_.end()) {
      spdlog::debug("reaped orphan {}", pid);
      continue;
    }
    const Ended ended = std::move(found->second);
    watched_.erase(found);
    ended(status);
  }
}

}  // namespace ringway::sidecar
