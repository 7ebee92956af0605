// What the operator said about one program to run. Filled from the command line, supervisord.conf or a JSON file.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace ringway::sidecar {

enum class Restart { kAlways, kOnFailure, kNever };

// When a program that ended is started again (supervisord's autorestart, exitcodes, startretries, startsecs).
struct RestartRules {
  Restart restart = Restart::kOnFailure;
  std::vector<int> expected_exit_codes{0};
  int start_retries_max = 3;                   // ends within start_time that are followed by another try
  std::chrono::milliseconds start_time{1000};  // up for this long means started; 0: at once
};

// Where one of the program's output streams goes.
struct Output {
  enum class To { kStdout, kStderr, kNull, kFile };
  To to = To::kStdout;
  std::string path;  // for kFile: opened for appending
};

struct Program {
  std::string name;
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;  // added to the sidecar's own
  std::string directory;                           // empty: the sidecar's
  std::string user;                                // empty: the sidecar's
  int priority = 999;                              // low starts first and stops last
  bool autostart = true;
  bool essential = false;    // its final exit ends the sidecar
  bool keeps_stdin = false;  // else /dev/null
  RestartRules rules;
  int stop_signal = 0;  // 0: chosen by what the process is, see stop_signal.h
  std::chrono::milliseconds stop_timeout{10000};
  Output standard_output{Output::To::kStdout, {}};
  Output standard_error{Output::To::kStderr, {}};
};

}  // namespace ringway::sidecar
