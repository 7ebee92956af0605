// Waits for every child: the programs and check scripts that somebody watches, and the orphans that fall to PID 1.
// One per process, on the io_context's thread.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <functional>
#include <unordered_map>

namespace ringway::sidecar {

class Reaper {
 public:
  using Ended = std::function<void(int wait_status)>;

  // Takes over SIGCHLD, and becomes child subreaper when not PID 1 (man 2 prctl, PR_SET_CHILD_SUBREAPER).
  explicit Reaper(boost::asio::io_context& io);

  // `ended` runs once, on the loop. To be called in the same turn of the loop that started `pid`.
  void Watch(pid_t pid, Ended ended);
  void Forget(pid_t pid) { watched_.erase(pid); }

 private:
  void Arm();
  void ReapAll();

  boost::asio::signal_set signals_;
  std::unordered_map<pid_t, Ended> watched_;
};

}  // namespace ringway::sidecar
