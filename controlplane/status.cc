// The status document: what the control plane knows, for `ringway status` and whoever reads RUN_DIR/control.sock.
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <map>
#include <string_view>
#include <utility>

#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/api/feed_json.h"
#include "controlplane/config/duration.h"
#include "controlplane/config/net_names.h"
#include "controlplane/control_plane.h"

namespace ringway::cp {
namespace {

namespace json = boost::json;

std::string CheckName(const std::optional<HealthCheck>& check) {
  if (!check) return "none";
  const std::string what = check->type == HealthCheck::Type::kTcp ? "TCP connect" : check->method + " " + check->path;
  return what + " every " + FormatDuration(check->interval_ms);
}

json::value Lines(const std::vector<std::string>& lines) { return json::array(lines.begin(), lines.end()); }

json::array Listeners(const std::vector<api::Listener>& listeners) {
  json::array array;
  for (const api::Listener& listener : listeners) {
    json::array routes;
    for (const api::Route& route : listener.routes) routes.push_back({{"host", route.host}, {"path", route.path}, {"service", route.service}});
    array.push_back({{"name", listener.name},
                     {"bind", listener.bind},
                     {"protocol", std::string(api::NameOf(listener.protocol))},
                     {"delivery", std::string(api::NameOf(listener.delivery))},
                     {"routes", std::move(routes)}});
  }
  return array;
}

int64_t MsUntil(Pool::Time time) {
  return std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::milliseconds>(time - std::chrono::steady_clock::now()).count());
}

using EndpointKey = std::pair<std::string_view, std::string_view>;  // service, id

// Who has ejected which endpoint. The views outlive it.
std::map<EndpointKey, json::array> Ejections(const std::vector<DataplaneView>& views) {
  std::map<EndpointKey, json::array> by_endpoint;
  for (const DataplaneView& view : views) {
    for (const api::Ejection& one : view.ejected) {
      by_endpoint[{one.service, one.endpoint}].push_back({{"pid", view.pid},
                                                          {"workers", one.workers},
                                                          {"workers_of", view.workers},
                                                          {"remaining_ms", one.remaining_ms},
                                                          {"times", one.times},
                                                          {"reason", one.reason}});
    }
  }
  return by_endpoint;
}

json::array Endpoints(const api::Service& service, const Pool& pool, const std::map<EndpointKey, json::array>& ejections) {
  json::array array;
  for (size_t i = 0; i < service.endpoints.size(); ++i) {
    const api::Endpoint& endpoint = service.endpoints[i];
    json::object object = {{"id", endpoint.id},
                           {"generation", endpoint.generation},
                           {"address", FormatHostPort(endpoint.address, endpoint.port)},
                           {"weight", endpoint.weight},
                           {"state", std::string(api::NameOf(endpoint.state))},
                           {"reason", endpoint.reason},
                           {"back_in_ms", nullptr},
                           {"ejected", json::array()}};
    if (const auto back = pool.FlapsUntil(i)) object["back_in_ms"] = MsUntil(*back);
    const auto ejected = ejections.find({service.name, endpoint.id});
    if (ejected != ejections.end()) object["ejected"] = ejected->second;
    array.push_back(std::move(object));
  }
  return array;
}

json::value Catalog(const CatalogConfig& config, const CatalogState& state) {
  const bool embedded = config.type == CatalogConfig::Type::kEmbedded;
  const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now() - state.good_at).count();
  json::object object = {{"type", embedded ? "embedded" : "consul"},
                         {"name", CatalogName(config)},
                         {"data_dir", config.data_dir},
                         {"in_use", state.name},
                         {"ok", state.ok},
                         {"age_ms", state.ok ? 0 : std::max<int64_t>(0, age)},
                         {"error", state.error}};
  if (embedded) object["listen"] = config.listen;
  return object;
}

json::array Dataplanes(const std::vector<DataplaneView>& views, uint64_t version) {
  json::array array;
  for (const DataplaneView& view : views) {
    json::object object = {{"pid", view.pid},
                           {"workers", view.workers},
                           {"acked", nullptr},
                           {"current", view.acked == version},
                           {"connected_ms", view.connected_for.count()},
                           {"snapshots_total", view.snapshots_total},
                           {"deltas_total", view.deltas_total},
                           {"collapses_total", view.collapses_total},
                           {"refusals_total", view.refusals_total},
                           {"refused", nullptr},
                           {"in_flight_draining", view.in_flight_draining},
                           {"leaving", view.leaving},
                           {"ejected", view.ejected.size()}};
    if (view.acked) object["acked"] = *view.acked;
    if (view.refused) object["refused"] = {{"version", view.refused->version}, {"reason", view.refused->reason}};
    array.push_back(std::move(object));
  }
  return array;
}

}  // namespace

json::value ControlPlane::Status() const {
  const api::Snapshot& snapshot = resolver_->snapshot();
  const Config& config = loaded_.config;
  const std::vector<DataplaneView> dataplanes = feed_->Dataplanes();
  const auto ejections = Ejections(dataplanes);
  json::array services;
  for (const api::Service& service : snapshot.services) {
    const ServiceConfig& settings = config.services.at(service.name);
    const Pool& pool = *resolver_->PoolOf(service.name);
    services.push_back({{"name", service.name},
                        {"balance", std::string(api::NameOf(service.balance))},
                        {"source", settings.endpoints.empty() ? "catalog" : "config"},
                        {"health_check", CheckName(settings.health_check)},
                        {"held", pool.held()},
                        {"held_for_ms", pool.held() == 0 ? 0 : MsUntil(pool.held_until())},
                        {"kept", pool.kept()},
                        {"endpoints", Endpoints(service, pool, ejections)}});
  }
  const std::vector<std::string> refusal = absl::StrSplit(last_refusal_, '\n', absl::SkipEmpty());
  return {{"program", "ringway-controlplane"},
          {"release", RINGWAY_VERSION},
          {"pid", getpid()},
          {"config", {{"file", config.file},
                      {"loaded_at", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromChrono(loaded_at_), absl::UTCTimeZone())},
                      {"warnings", Lines(loaded_.warnings)},
                      {"last_refusal", Lines(refusal)}}},
          {"epoch", snapshot.epoch},
          {"version", snapshot.version},
          {"feed_problem", state_.problem()},
          {"catalog", Catalog(config.catalog, catalog_->State())},
          {"listeners", Listeners(snapshot.listeners)},
          {"services", std::move(services)},
          {"stats", {{"bind", snapshot.stats.bind}}},
          {"checks", {{"endpoints", checker_.targets()}, {"total", checker_.checks_total()}}},
          {"dataplanes", Dataplanes(dataplanes, snapshot.version)}};
}

}  // namespace ringway::cp
