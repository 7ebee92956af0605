// Tells systemd how `ringway up` is (sd_notify(3)): the datagram that NOTIFY_SOCKET asks for, nothing without it.
#pragma once

#include <string>

namespace ringway::cp {

// "READY=1", "STATUS=...", "STOPPING=1", lines.
void NotifySystemd(const std::string& state);

}  // namespace ringway::cp
