// The health of one service: all its checks, run in loops, and the worst of them. On the io_context's thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sidecar/checks/check.h"
#include "sidecar/supervise/reaper.h"

namespace ringway::sidecar {

class Health {
 public:
  // `checks` without those of kind kTtl. Without any check the service is as healthy as its program.
  Health(boost::asio::io_context& io, Reaper& reaper, std::vector<CheckDefinition> checks);

  // Called when the combined status changes.
  std::function<void()> on_change;

  void Run();  // starts the loops; they run until the io_context ends
  void Stop();

  // The essential program started (checks begin at once, and quickly until they pass) or ended (critical at once).
  void SetUp(bool up, const std::string& why);

  CheckResult Combined() const;

 private:
  struct Slot {
    Slot(boost::asio::io_context& io, CheckDefinition definition);
    const CheckDefinition check;
    Threshold threshold;
    boost::asio::steady_timer wake;
    CheckStatus status;
    std::string output = "not checked yet";
    bool passed = false;  // since the program's last start
    bool told = false;    // that it has not passed for long; likewise
  };

  boost::asio::awaitable<void> Loop(Slot& slot);
  boost::asio::awaitable<void> RunOnce(Slot& slot);
  void TellIfLate(Slot& slot);
  void Announce();

  boost::asio::io_context& io_;
  Reaper& reaper_;
  std::vector<std::unique_ptr<Slot>> slots_;
  bool up_ = false;
  bool stopped_ = false;
  std::chrono::steady_clock::time_point up_since_;
  uint64_t start_ = 0;  // counts the program's starts: a result from before the last one is void
  std::string why_down_ = "the program has not been started";
  CheckStatus announced_ = CheckStatus::kCritical;
};

}  // namespace ringway::sidecar
