// One program that `ringway up` runs: started, watched and stopped. A program that `tells` gets a pipe to say how far it is on, a
// line each: waiting, serving, leaving, failed REASON (dataplane/program/status_pipe.h). One thread.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace ringway::cp {

struct ChildProgram {
  std::string name;                    // in log lines
  std::vector<std::string> arguments;  // the first is the file
  std::chrono::milliseconds stop_wait; // after SIGTERM; then SIGKILL
  bool tells = false;
};

class Child {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kBackOffMin{100};
  static constexpr std::chrono::milliseconds kBackOffMax{5000};
  // One that lived this long begins again at the smallest back-off.
  static constexpr std::chrono::milliseconds kStable{10000};

  explicit Child(ChildProgram child_program) : program(std::move(child_program)) {}
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child();

  // Forks. `mask`: the signals it begins with. False when the system refuses; start_at is then later.
  bool Start(const sigset_t& mask, const std::vector<std::string>& more_arguments = {});
  void Signal(int number) const;
  // Takes what it has said; true when there is news.
  bool ReadStatus();
  // It has ended, with this waitpid(2) status: it may be started again at start_at.
  void Ended();

  bool running() const { return pid != 0; }
  // It has its sockets, or nothing to serve yet: an upgrade is over for it.
  bool settled() const { return word == "serving" || word == "waiting"; }

  ChildProgram program{};
  pid_t pid = 0;  // 0: not running
  Clock::time_point started_at{};
  Clock::time_point start_at{};  // when not running
  std::chrono::milliseconds back_off = kBackOffMin;
  unsigned starts = 0;
  int status_fd = -1;
  std::string word;    // the last one it said
  std::string reason;  // with it

 private:
  void CloseStatus();
  std::string said_;  // not a whole line yet
};

std::string HowItEnded(int status);

}  // namespace ringway::cp
