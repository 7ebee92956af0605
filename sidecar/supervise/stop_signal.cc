// Reads /proc: the name a process has now says more than the command line it was started with.
#include "sidecar/supervise/stop_signal.h"

#include <csignal>
#include <fstream>
#include <string>

namespace ringway::sidecar {
namespace {

std::string NameOf(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/comm");
  std::string name;
  std::getline(in, name);
  return name;
}

bool IsShell(std::string_view name) {
  for (const std::string_view shell : {"sh", "bash", "dash", "ash", "busybox", "apache2ctl", "apachectl"}) {
    if (name == shell) return true;
  }
  return false;
}

}  // namespace

int GracefulSignalOf(std::string_view process_name) {
  if (process_name == "apache2" || process_name == "httpd") return SIGWINCH;
  if (process_name == "nginx" || process_name.substr(0, 7) == "php-fpm") return SIGQUIT;
  return 0;
}

StopTarget ChooseStopTarget(pid_t leader, int configured) {
  StopTarget target{leader, configured != 0 ? configured : SIGTERM};
  const std::string name = NameOf(leader);
  if (const int signal = GracefulSignalOf(name); signal != 0) {
    if (configured == 0) target.signal = signal;
    return target;
  }
  if (!IsShell(name)) return target;
  const std::string id = std::to_string(leader);
  std::ifstream children("/proc/" + id + "/task/" + id + "/children");
  for (pid_t child = 0; children >> child;) {
    const int signal = GracefulSignalOf(NameOf(child));
    if (signal != 0) return {child, configured != 0 ? configured : signal};
  }
  return target;
}

}  // namespace ringway::sidecar
