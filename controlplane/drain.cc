// See drain.h.
#include "controlplane/drain.h"

#include <algorithm>
#include <utility>

#include "common/log/log.h"
#include "controlplane/push/feed_server.h"
#include "controlplane/resolver.h"

namespace ringway::cp {
namespace {

absl::Status Unknown(const std::string& service, const std::string& instance_id) {
  return absl::NotFoundError("service \"" + service + "\" has no endpoint \"" + instance_id + "\"");
}

}  // namespace

boost::asio::awaitable<absl::StatusOr<DrainResult>> DrainCoordinator::Drain(std::string service, std::string instance_id,
                                                                           std::chrono::milliseconds wait) {
  const auto deadline = std::chrono::steady_clock::now() + wait;
  if (!resolver_.SourceOf(service).SetDraining(service, instance_id, true)) co_return Unknown(service, instance_id);
  resolver_.Touch(service);
  resolver_.Settle();
  const uint64_t version = resolver_.snapshot().version;
  spdlog::info("drain: {} {} is draining since version {}", service, instance_id, version);
  DrainResult result;
  for (;;) {
    const DrainProgress progress = feed_.Progress(service, instance_id, version);
    const auto now = std::chrono::steady_clock::now();
    const auto back_by = feed_.AloneSince() + return_wait_;
    result.dataplanes = progress.dataplanes;
    result.behind = progress.behind;
    result.in_flight = progress.in_flight;
    result.drained = progress.behind == 0 && progress.in_flight == 0 && (progress.dataplanes != 0 || now >= back_by);
    if (result.drained || now >= deadline) break;
    const auto next_look = progress.dataplanes == 0 ? std::min(deadline, back_by) : deadline;
    co_await feed_.Changed(next_look);
  }
  spdlog::info("drain: {} {}: {}, {} in flight, {} dataplanes of which {} are behind", service, instance_id,
               result.drained ? "drained" : "not drained in time", result.in_flight, result.dataplanes, result.behind);
  co_return result;
}

absl::Status DrainCoordinator::Undrain(const std::string& service, const std::string& instance_id) {
  if (!resolver_.SourceOf(service).SetDraining(service, instance_id, false)) return Unknown(service, instance_id);
  resolver_.Touch(service);
  spdlog::info("drain: {} {} is taken back into service", service, instance_id);
  return absl::OkStatus();
}

}  // namespace ringway::cp
