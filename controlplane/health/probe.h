// One active check of one endpoint, once: an HTTP request whose status is judged, or a TCP connect.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>

#include "controlplane/config/config.h"

namespace ringway::cp {

struct ProbeResult {
  bool success = false;
  bool not_made = false;  // we ourselves lack files, ports or memory: it says nothing about the endpoint
  std::string reason;  // why not, in words; empty on success
};

// Ends within check.timeout_ms. `port` is the endpoint's; check.port goes before it.
boost::asio::awaitable<ProbeResult> ProbeOnce(HealthCheck check, std::string address, uint16_t port);

}  // namespace ringway::cp
