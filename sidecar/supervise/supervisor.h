// Runs the programs: starts them by priority, restarts them by their rules, stops them in reverse order. On the io_context's
// thread; at most one process per program.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sidecar/supervise/managed_program.h"
#include "sidecar/supervise/program.h"
#include "sidecar/supervise/reaper.h"

namespace ringway::sidecar {

class Supervisor {
 public:
  struct Events {
    // The essential program started or ended; `why` is for people.
    std::function<void(bool up, const std::string& why)> on_essential;
    // The sidecar's work is over: the essential program's final end, or some program that cannot be kept up. Once.
    std::function<void(int exit_code)> on_finished;
  };

  // Exactly one of `programs` is essential.
  Supervisor(boost::asio::io_context& io, Reaper& reaper, std::vector<Program> programs,
             std::vector<std::pair<std::string, std::string>> environment, Events events);

  void Start();
  // Signals every program, low priority numbers last; `stopped` runs when no process is left.
  void Stop(std::function<void()> stopped);
  // To every running program; SIGWINCH not to those for which it means stop.
  void Forward(int signal);

  // After Stop: what the sidecar exits with when it was asked to stop.
  int ExitCodeAfterStop() const;

 private:
  void OnEnded(ManagedProgram& program, int wait_status);
  void OnGivenUp(ManagedProgram& program, int exit_code);
  void StopNextGroup();

  Events events_;
  std::vector<std::unique_ptr<ManagedProgram>> programs_;  // in start order
  bool finished_ = false;
  bool stopping_ = false;
  std::function<void()> stopped_;
};

}  // namespace ringway::sidecar
