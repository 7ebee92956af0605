// One program with its process, its restart state and its timers. Owned by the supervisor, on its thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "sidecar/supervise/process.h"
#include "sidecar/supervise/program.h"
#include "sidecar/supervise/reaper.h"
#include "sidecar/supervise/restart.h"

namespace ringway::sidecar {

class ManagedProgram {
 public:
  struct Events {
    std::function<void()> on_started;
    std::function<void(int wait_status)> on_ended;    // process gone, another try is coming or not
    std::function<void(int exit_code)> on_final;      // ended for good, by its rules
    std::function<void(int exit_code)> on_given_up;   // could not be kept up
    std::function<void()> on_stopped;                 // after Stop: neither process nor group is left
  };

  ManagedProgram(boost::asio::io_context& io, Reaper& reaper, Program program,
                 std::vector<std::pair<std::string, std::string>> environment);

  Events events;

  void Start();
  void Stop();
  void Forward(int signal) const;

  const Program& program() const { return program_; }
  bool alive() const { return pid_ > 0; }
  bool stopping() const { return stopping_; }
  bool stopped() const { return stopped_; }
  // Exit code for a requested stop: 0 when it left by our signal, 137 when it had to be killed, else its own.
  int ExitCodeAfterStop() const;

 private:
  void OnSpawned(pid_t pid);
  void OnSpawnFailed(const absl::Status& why);
  void OnEnded(int wait_status);
  void Obey(const RestartMachine::Verdict& verdict, int exit_code, const std::string& what);
  void AwaitGroup();
  void ArmKill();

  const Program program_;
  const std::vector<std::string> environment_;
  Reaper& reaper_;
  RestartMachine machine_;
  boost::asio::steady_timer timer_;       // start_time, then the restart's delay
  boost::asio::steady_timer stop_timer_;  // stop_timeout
  boost::asio::steady_timer group_timer_;
  std::chrono::steady_clock::time_point started_{};
  pid_t pid_ = 0;    // of the running process
  pid_t group_ = 0;  // of the last one: its group may outlive it
  int last_status_ = 0;
  bool ended_once_ = false;
  bool stopping_ = false;
  bool stopped_ = false;
  bool group_signalled_ = false;
  bool signalled_ = false;  // our graceful signal went out while it ran
  bool killed_ = false;     // and then SIGKILL
  int signal_sent_ = 0;
};

}  // namespace ringway::sidecar
