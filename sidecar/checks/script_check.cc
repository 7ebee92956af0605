// Script checks: a process in its own group, its output through a pipe, both bounded.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <memory>

#include "sidecar/checks/run_check.h"
#include "sidecar/supervise/process.h"
#include "sidecar/supervise/restart.h"

namespace ringway::sidecar {
namespace {

namespace asio = boost::asio;
constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
// How long output may still arrive once the script itself has ended; a grandchild may hold the pipe for ever.
constexpr std::chrono::milliseconds kOutputGrace{100};

struct Run {
  explicit Run(const asio::any_io_executor& executor) : ended(executor), output_ended(executor), pipe(executor) {}
  asio::steady_timer ended;         // expires at the timeout, cancelled at the end
  asio::steady_timer output_ended;
  asio::posix::stream_descriptor pipe;
  std::string output;
  int wait_status = 0;
  bool done = false;
  bool output_done = false;
};

// Reads all of it so that the script never blocks, keeps the first 4 KiB.
asio::awaitable<void> Collect(std::shared_ptr<Run> run) {
  char buffer[4096];
  for (;;) {
    auto [error, size] = co_await run->pipe.async_read_some(asio::buffer(buffer), kNoThrow);
    if (error) break;
    run->output.append(buffer, std::min(size, kCheckOutputMax - run->output.size()));
  }
  run->output_done = true;
  run->output_ended.cancel();
}

absl::StatusOr<pid_t> Start(const CheckDefinition& check, const std::shared_ptr<Run>& run) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::InternalError("pipe: no descriptor left");
  const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  SpawnRequest request;
  request.argv = check.args;
  request.environment = EnvironmentWith({});
  request.stdin_fd = null_fd;
  request.stdout_fd = request.stderr_fd = ends[1];
  absl::StatusOr<pid_t> pid = Spawn(request);
  close(null_fd);
  close(ends[1]);
  if (pid.ok()) {
    run->pipe.assign(ends[0]);
  } else {
    close(ends[0]);
  }
  return pid;
}

CheckStatus StatusOf(int wait_status) {
  if (!WIFEXITED(wait_status)) return CheckStatus::kCritical;
  if (WEXITSTATUS(wait_status) == 0) return CheckStatus::kPassing;
  return WEXITSTATUS(wait_status) == 1 ? CheckStatus::kWarning : CheckStatus::kCritical;
}

}  // namespace

asio::awaitable<CheckResult> RunScriptCheck(const CheckDefinition& check, Reaper& reaper) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  auto run = std::make_shared<Run>(executor);
  const absl::StatusOr<pid_t> pid = Start(check, run);
  if (!pid.ok()) co_return CheckResult{CheckStatus::kCritical, std::string(pid.status().message())};
  run->ended.expires_after(check.timeout);
  reaper.Watch(*pid, [run](int wait_status) {
    run->wait_status = wait_status;
    run->done = true;
    run->ended.cancel();
  });
  asio::co_spawn(executor, Collect(run), asio::detached);
  co_await run->ended.async_wait(kNoThrow);
  kill(-*pid, SIGKILL);  // what the script left behind, or all of it at the timeout
  if (run->done && !run->output_done) {
    run->output_ended.expires_after(kOutputGrace);
    co_await run->output_ended.async_wait(kNoThrow);
  }
  boost::system::error_code ignored;
  run->pipe.close(ignored);
  if (!run->done) {
    const std::string why = "timed out after " + std::to_string(check.timeout.count()) + " ms";
    co_return CheckResult{CheckStatus::kCritical, "script " + check.args.front() + " " + why + ": " + run->output};
  }
  if (run->output.empty()) run->output = "script " + check.args.front() + " " + DescribeEnd(run->wait_status);
  co_return CheckResult{StatusOf(run->wait_status), run->output};
}

asio::awaitable<CheckResult> RunCheck(const CheckDefinition& check, Reaper& reaper) {
  switch (check.kind) {
    case CheckDefinition::Kind::kHttp:
      co_return co_await RunHttpCheck(check);
    case CheckDefinition::Kind::kScript:
      co_return co_await RunScriptCheck(check, reaper);
    case CheckDefinition::Kind::kTcp:
    case CheckDefinition::Kind::kTtl:
      break;
  }
  co_return co_await RunTcpCheck(check);
}

}  // namespace ringway::sidecar
