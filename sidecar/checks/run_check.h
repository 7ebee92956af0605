// Runs one check once. Coroutines on the sidecar's io_context; bounded by the check's timeout.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "sidecar/checks/check.h"
#include "sidecar/supervise/reaper.h"

namespace ringway::sidecar {

// 2xx passing, 429 warning, else critical; redirects are followed. Output as Consul words it.
boost::asio::awaitable<CheckResult> RunHttpCheck(const CheckDefinition& check);
// Connects, and closes.
boost::asio::awaitable<CheckResult> RunTcpCheck(const CheckDefinition& check);
// Exit 0 passing, 1 warning, else critical; killed with its process group at the timeout.
boost::asio::awaitable<CheckResult> RunScriptCheck(const CheckDefinition& check, Reaper& reaper);

// Whichever it is. kTtl is not run: the application reports it.
boost::asio::awaitable<CheckResult> RunCheck(const CheckDefinition& check, Reaper& reaper);

}  // namespace ringway::sidecar
