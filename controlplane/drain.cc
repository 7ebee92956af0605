// See drain.h.
#include "controlplane/drain.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log/log.h"
#include "controlplane/push/feed_server.h"
#include "controlplane/resolver.h"

namespace ringway::cp {
namespace {

absl::Status Unknown(const std::string& service, const std::string& instance_id) {
  return absl::NotFoundError("service \"" + service + "\" has no endpoint \"" + instance_id + "\"");
}

}  // namespace

std::string WhyNotDrained(const DrainResult& result) {
  std::string text;
  for (const DataplaneProgress& one : result.waiting) {
    absl::StrAppend(&text, text.empty() ? "" : "; ", one.pid == 0 ? std::string("a dataplane that has only connected") : absl::StrCat("dataplane ", one.pid),
                    one.leaving ? " (leaving)" : "", one.behind ? " has not acknowledged" : absl::StrCat(" has ", one.in_flight, " in flight"));
  }
  return text.empty() ? "no dataplane is connected, one may come back" : text;
}

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
    result.waiting = progress.waiting;
    result.drained = progress.behind == 0 && progress.in_flight == 0 && (progress.dataplanes != 0 || now >= back_by);
    if (result.drained || now >= deadline) break;
    const auto next_look = progress.dataplanes == 0 ? std::min(deadline, back_by) : deadline;
    co_await feed_.Changed(next_look);
  }
  if (result.drained) {
    spdlog::info("drain: {} {} is drained, {} dataplanes", service, instance_id, result.dataplanes);
  } else {
    spdlog::warn("drain: {} {} is not drained in time and stays draining: {}", service, instance_id, WhyNotDrained(result));
  }
  co_return result;
}

absl::Status DrainCoordinator::Undrain(const std::string& service, const std::string& instance_id) {
  if (!resolver_.SourceOf(service).SetDraining(service, instance_id, false)) return Unknown(service, instance_id);
  resolver_.Touch(service);
  resolver_.Settle();
  spdlog::info("drain: {} {} is taken back into service", service, instance_id);
  return absl::OkStatus();
}

}  // namespace ringway::cp
