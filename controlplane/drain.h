// Drain: taking one endpoint out of service as a conversation. The source marks it draining, the snapshot that says so is
// pushed, every connected dataplane acknowledges it and reports nothing in flight; only then the answer is "drained".
// All on the control plane's io_context thread. How it fits in: docs/ARCHITECTURE.md, DESIGN section 5.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/push/drain_progress.h"

namespace ringway::cp {

struct DrainResult {
  bool drained = false;      // acknowledged by all and nothing in flight; true at once when no dataplane is connected
  uint64_t in_flight = 0;    // exchanges still running when the answer was given, over all dataplanes
  uint32_t dataplanes = 0;   // connected when the answer was given
  uint32_t behind = 0;       // of these, how many have not acknowledged the draining snapshot
  std::vector<DataplaneProgress> waiting;  // whom it waits for, when not drained
};

// Of a result that is not drained, in words: "dataplane 12 has 3 in flight; dataplane 14 has not acknowledged".
std::string WhyNotDrained(const DrainResult& result);

// What the catalog's HTTP server and the admin socket are given; main.cc wires them to DrainCoordinator.
// `instance_id` is the id within the service ("NODE/SERVICE_ID"). NotFound when nobody knows it. At the end of `wait` the
// answer has drained == false and the instance stays draining; undrain takes it back.
// Pass the strings as named locals, not as temporaries (GCC 12 and co_await).
using DrainFunction = std::function<boost::asio::awaitable<absl::StatusOr<DrainResult>>(
    std::string service, std::string instance_id, std::chrono::milliseconds wait)>;
using UndrainFunction = std::function<absl::Status(const std::string& service, const std::string& instance_id)>;

class FeedServer;
class Resolver;

class DrainCoordinator {
 public:
  // How long an absent dataplane is waited for: after a start or a lost connection it is about to come back, and may still
  // send requests to the endpoint.
  static constexpr std::chrono::milliseconds kReturnWait{3000};

  DrainCoordinator(Resolver& resolver, FeedServer& feed, std::chrono::milliseconds return_wait = kReturnWait)
      : resolver_(resolver), feed_(feed), return_wait_(return_wait) {}

  boost::asio::awaitable<absl::StatusOr<DrainResult>> Drain(std::string service, std::string instance_id, std::chrono::milliseconds wait);
  absl::Status Undrain(const std::string& service, const std::string& instance_id);

 private:
  Resolver& resolver_;
  FeedServer& feed_;
  const std::chrono::milliseconds return_wait_;
};

}  // namespace ringway::cp
