// The signals a program can be stopped with. glibc's sigabbrev_np would do for one direction only.
#include "sidecar/supervise/signal_names.h"

#include <csignal>

namespace ringway::sidecar {
namespace {

struct Named {
  std::string_view name;
  int signal;
};
constexpr Named kSignals[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ABRT", SIGABRT}, {"KILL", SIGKILL},
                              {"USR1", SIGUSR1}, {"SEGV", SIGSEGV}, {"USR2", SIGUSR2}, {"PIPE", SIGPIPE}, {"ALRM", SIGALRM},
                              {"TERM", SIGTERM}, {"CONT", SIGCONT}, {"STOP", SIGSTOP}, {"TSTP", SIGTSTP}, {"BUS", SIGBUS},
                              {"FPE", SIGFPE},   {"ILL", SIGILL},   {"SYS", SIGSYS},   {"WINCH", SIGWINCH}};

}  // namespace

int SignalFromName(std::string_view name) {
  std::string upper;
  for (char c : name) upper += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  std::string_view bare = upper;
  if (bare.substr(0, 3) == "SIG") bare.remove_prefix(3);
  for (const Named& named : kSignals) {
    if (bare == named.name || bare == std::to_string(named.signal)) return named.signal;
  }
  return 0;
}

std::string SignalName(int signal) {
  for (const Named& named : kSignals) {
    if (named.signal == signal) return "SIG" + std::string(named.name);
  }
  return "signal " + std::to_string(signal);
}

}  // namespace ringway::sidecar
