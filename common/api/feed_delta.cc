// Deltas between two snapshots: made by the control plane, applied by the dataplane. Both sides keep endpoints sorted by
// id, so a delta is one merge per service. A delta that does not fit leaves the snapshot as it was.
#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/api/feed_json.h"

namespace ringway::api {
namespace {

// Every field is named here: a new one that is not compared would travel in no delta and never arrive, so it does not compile.
auto AllButEndpoints(const Service& s) {
  const auto& [name, balance, timeouts, upstreams_idle_max, retries_max, retry_budget, retry_after_s, passive_health,
               ejected_percent_max, slow_start_ms, endpoint_limit, hold, endpoints] = s;
  return std::tie(name, balance, timeouts, upstreams_idle_max, retries_max, retry_budget, retry_after_s, passive_health,
                  ejected_percent_max, slow_start_ms, endpoint_limit, hold);
}

auto AllButServices(const Snapshot& s) {
  const auto& [epoch, version, listeners, services, stats, packet, access_log, connect, steering, sessions_max, shutdown_timeout_ms, handover_timeout_ms] = s;
  return std::tie(listeners, stats, packet, access_log, connect, steering, sessions_max, shutdown_timeout_ms, handover_timeout_ms);
}

bool SameButEndpoints(const Service& a, const Service& b) { return AllButEndpoints(a) == AllButEndpoints(b); }
bool SameButServices(const Snapshot& a, const Snapshot& b) { return AllButServices(a) == AllButServices(b); }

using EndpointById = std::map<std::string_view, const Endpoint*>;

EndpointById ById(const std::vector<Endpoint>& endpoints) {
  EndpointById by_id;
  for (const Endpoint& endpoint : endpoints) by_id[endpoint.id] = &endpoint;
  return by_id;
}

ServiceDelta Difference(const Service& before, const Service& after) {
  ServiceDelta delta;
  delta.service = after.name;
  const EndpointById old_by_id = ById(before.endpoints);
  const EndpointById new_by_id = ById(after.endpoints);
  for (const auto& [id, endpoint] : new_by_id) {
    auto old = old_by_id.find(id);
    if (old == old_by_id.end() || *old->second != *endpoint) delta.upserted.push_back(*endpoint);
  }
  for (const auto& [id, endpoint] : old_by_id) {
    if (!new_by_id.contains(id)) delta.removed.push_back(endpoint->id);
  }
  return delta;
}

bool SmallerId(const Endpoint& a, const Endpoint& b) { return a.id < b.id; }

bool Has(const std::vector<Endpoint>& sorted, const std::string& id) {
  const auto place = std::lower_bound(sorted.begin(), sorted.end(), id, [](const Endpoint& e, const std::string& i) { return e.id < i; });
  return place != sorted.end() && place->id == id;
}

absl::Status CheckRemoved(const ServiceDelta& delta, const std::vector<Endpoint>& endpoints) {
  std::set<std::string_view> seen;
  for (const std::string& id : delta.removed) {
    if (Has(endpoints, id) && seen.insert(id).second) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("the delta removes endpoint ", id, " of service ", delta.service, ", which is not there"));
  }
  return absl::OkStatus();
}

// In place: endpoints that the delta does not name are moved, not copied. `endpoints` is sorted by id and has all removed ones.
void Change(const ServiceDelta& delta, std::vector<Endpoint>& endpoints) {
  const std::set<std::string_view> removed(delta.removed.begin(), delta.removed.end());
  if (!removed.empty()) std::erase_if(endpoints, [&](const Endpoint& e) { return removed.contains(e.id); });
  std::map<std::string_view, const Endpoint*> upserted = ById(delta.upserted);
  auto place = endpoints.begin();
  for (auto it = upserted.begin(); it != upserted.end();) {
    place = std::lower_bound(place, endpoints.end(), *it->second, SmallerId);
    const bool there = place != endpoints.end() && place->id == it->first;
    if (there) *place = *it->second;
    it = there ? upserted.erase(it) : std::next(it);
  }
  if (upserted.empty()) return;
  std::vector<Endpoint> added;
  for (const auto& [id, endpoint] : upserted) added.push_back(*endpoint);
  std::vector<Endpoint> merged;
  merged.reserve(endpoints.size() + added.size());
  std::merge(std::make_move_iterator(endpoints.begin()), std::make_move_iterator(endpoints.end()),
             std::make_move_iterator(added.begin()), std::make_move_iterator(added.end()), std::back_inserter(merged), SmallerId);
  endpoints = std::move(merged);
}

}  // namespace

absl::Status ApplyDelta(const Delta& delta, Snapshot& snapshot) {
  if (delta.epoch != snapshot.epoch || delta.from_version != snapshot.version) {
    return absl::FailedPreconditionError(
        absl::StrCat("the delta starts from version ", delta.from_version, " of epoch ", delta.epoch,
                     ", here is version ", snapshot.version, " of epoch ", snapshot.epoch));
  }
  // Everything is looked at before anything is changed.
  std::vector<std::pair<const ServiceDelta*, std::vector<Endpoint>*>> changes;
  for (const ServiceDelta& change : delta.services) {
    auto service = std::find_if(snapshot.services.begin(), snapshot.services.end(),
                                [&](const Service& s) { return s.name == change.service; });
    if (service == snapshot.services.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the delta changes service ", change.service, ", which is not there"));
    }
    std::vector<Endpoint>& endpoints = service->endpoints;
    if (!std::is_sorted(endpoints.begin(), endpoints.end(), SmallerId)) std::sort(endpoints.begin(), endpoints.end(), SmallerId);
    if (absl::Status s = CheckRemoved(change, endpoints); !s.ok()) return s;
    changes.emplace_back(&change, &endpoints);
  }
  for (const auto& [change, endpoints] : changes) Change(*change, *endpoints);
  snapshot.version = delta.version;
  return absl::OkStatus();
}

absl::StatusOr<Delta> MakeDelta(const Snapshot& before, const Snapshot& after) {
  if (before.epoch != after.epoch) {
    return absl::FailedPreconditionError("the epochs differ, a whole snapshot has to travel");
  }
  if (!SameButServices(before, after) ||
      !std::equal(before.services.begin(), before.services.end(), after.services.begin(),
                  after.services.end(), SameButEndpoints)) {
    return absl::FailedPreconditionError(
        "more than endpoints changed, a whole snapshot has to travel");
  }
  Delta delta;
  delta.epoch = after.epoch;
  delta.from_version = before.version;
  delta.version = after.version;
  for (size_t i = 0; i < after.services.size(); ++i) {
    if (before.services[i].endpoints == after.services[i].endpoints) continue;
    delta.services.push_back(Difference(before.services[i], after.services[i]));
  }
  return delta;
}

}  // namespace ringway::api
