// Which signal makes a running program finish its work and leave, and which of its processes must get it.
#pragma once

#include <sys/types.h>

#include <string_view>

namespace ringway::sidecar {

// SIGWINCH for Apache, SIGQUIT for nginx and php-fpm, 0 for a name that is none of them.
// https://httpd.apache.org/docs/2.4/stopping.html https://nginx.org/en/docs/control.html
int GracefulSignalOf(std::string_view process_name);

struct StopTarget {
  pid_t pid = 0;
  int signal = 0;
};
// Looks at what `leader` is now (a wrapper may have exec'ed since) and, when it is a shell that waits, at its children.
// `configured` wins over the signal chosen by name; 0 is none. Falls back to SIGTERM for the leader.
StopTarget ChooseStopTarget(pid_t leader, int configured);

}  // namespace ringway::sidecar
