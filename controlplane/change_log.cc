// See change_log.h.
#include "controlplane/change_log.h"

#include <algorithm>
#include <utility>

#include "common/log/log.h"
#include "controlplane/config/duration.h"
#include "controlplane/config/net_names.h"

namespace ringway::cp {
namespace {

constexpr uint64_t kLinesMax = 20;
constexpr std::chrono::seconds kWindow{10};

std::string Duration(std::chrono::milliseconds time) { return FormatDuration(static_cast<uint32_t>(time.count())); }

bool Served(const std::vector<api::Endpoint>& endpoints) {
  return std::any_of(endpoints.begin(), endpoints.end(), [](const api::Endpoint& one) { return one.state == api::EndpointState::kReady; });
}

// Is this only another weight or reason of the same instance?
bool SameState(const std::vector<api::Endpoint>& before, const api::Endpoint& now) {
  const auto old = std::lower_bound(before.begin(), before.end(), now.id, [](const api::Endpoint& one, const std::string& id) { return one.id < id; });
  return old != before.end() && old->id == now.id && old->generation == now.generation && old->state == now.state;
}

void TellState(const std::string& service, const api::Endpoint& now) {
  const bool down = now.state == api::EndpointState::kDown;
  std::string what = now.state == api::EndpointState::kReady ? "ready" : down ? "down" : "draining";
  if (!now.reason.empty()) what = now.state == api::EndpointState::kDraining ? now.reason : what + ": " + now.reason;
  spdlog::log(down ? spdlog::level::warn : spdlog::level::info, "{} {} ({}) is {}", service, now.id, FormatHostPort(now.address, now.port), what);
}

}  // namespace

void ChangeLog::Changed(const std::vector<api::Endpoint>& before, const std::vector<api::Endpoint>& after, const api::ServiceDelta& delta, Time now) {
  Endpoints(before, delta, services_[delta.service], now);
  if (Served(before) == Served(after)) return;
  // The line to find at night: a service that stops being served, and that it is again.
  if (Served(after)) return spdlog::info("{} is served again", delta.service);
  spdlog::error("{} is not served: {} endpoints, none of them ready", delta.service, after.size());
}

void ChangeLog::Endpoints(const std::vector<api::Endpoint>& before, const api::ServiceDelta& delta, Told& told, Time now) {
  if (now - told.since >= kWindow) {
    if (told.silent != 0) spdlog::info("{}: {} more changes of endpoints before this one", delta.service, told.silent);
    told.since = now;
    told.lines = 0;
    told.silent = 0;
  }
  if (delta.upserted.size() + delta.removed.size() > kLinesMax) {
    return spdlog::info("{}: {} endpoints came or changed, {} are gone", delta.service, delta.upserted.size(), delta.removed.size());
  }
  const auto may_tell = [&told] {
    const bool may = told.lines < kLinesMax;
    ++(may ? told.lines : told.silent);
    return may;
  };
  for (const api::Endpoint& endpoint : delta.upserted) {
    if (!SameState(before, endpoint) && may_tell()) TellState(delta.service, endpoint);
  }
  for (const std::string& id : delta.removed) {
    if (may_tell()) spdlog::info("{} {} is gone", delta.service, id);
  }
}

void ChangeLog::Judged(const std::string& service, const Pool& pool, const Pool::Rules& rules) {
  Told& told = services_[service];
  const bool held = pool.held() != 0;
  const bool kept = pool.kept() != 0;
  if (std::exchange(told.held, held) != held) {
    if (held) {
      spdlog::warn("{}: the catalog takes the last ready endpoints away; {} stay in service for at most {} (empty_hold)", service, pool.held(),
                   Duration(rules.empty_hold));
    } else {
      spdlog::info("{}: {}", service, pool.catalog_ready() ? "the catalog names ready endpoints again, it is believed" : "the hold is over, the catalog's word counts");
    }
  }
  if (std::exchange(told.kept, kept) == kept) return;
  if (kept) {
    spdlog::warn("{}: too many endpoints fail; {} stay in service although their checks fail (ejected_percent_max {})", service, pool.kept(),
                 rules.ejected_percent_max);
  } else {
    spdlog::info("{}: no endpoint is kept in service in spite of its checks any more", service);
  }
}

}  // namespace ringway::cp
