// The status document: what the control plane knows, for `ringway status` and whoever reads RUN_DIR/control.sock.
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "controlplane/config/duration.h"
#include "controlplane/config/net_names.h"
#include "controlplane/control_plane.h"

namespace ringway::cp {
namespace {

namespace json = boost::json;

const char* StateName(api::EndpointState state) {
  switch (state) {
    case api::EndpointState::kReady: return "ready";
    case api::EndpointState::kDraining: return "draining";
    case api::EndpointState::kDown: return "down";
  }
  return "";
}

const char* BalanceName(api::Balance balance) {
  switch (balance) {
    case api::Balance::kRoundRobin: return "round_robin";
    case api::Balance::kLeastRequests: return "least_requests";
    case api::Balance::kRandomOfTwo: return "random_of_two";
  }
  return "";
}

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
                     {"protocol", listener.protocol == api::Protocol::kHttp ? "http" : "tcp"},
                     {"routes", std::move(routes)}});
  }
  return array;
}

json::array Endpoints(const std::vector<api::Endpoint>& endpoints) {
  json::array array;
  for (const api::Endpoint& endpoint : endpoints) {
    array.push_back({{"id", endpoint.id},
                     {"generation", endpoint.generation},
                     {"address", FormatHostPort(endpoint.address, endpoint.port)},
                     {"weight", endpoint.weight},
                     {"state", StateName(endpoint.state)},
                     {"reason", endpoint.reason}});
  }
  return array;
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
                           {"in_flight_draining", view.in_flight_draining}};
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
  json::array services;
  for (const api::Service& service : snapshot.services) {
    const ServiceConfig& settings = config.services.at(service.name);
    services.push_back({{"name", service.name},
                        {"balance", BalanceName(service.balance)},
                        {"source", settings.endpoints.empty() ? "catalog" : "config"},
                        {"health_check", CheckName(settings.health_check)},
                        {"endpoints", Endpoints(service.endpoints)}});
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
          {"catalog", {{"type", "embedded"}, {"listen", config.catalog.listen}, {"data_dir", config.catalog.data_dir}}},
          {"listeners", Listeners(snapshot.listeners)},
          {"services", std::move(services)},
          {"stats", {{"bind", snapshot.stats.bind}}},
          {"checks", {{"endpoints", checker_.targets()}, {"total", checker_.checks_total()}}},
          {"dataplanes", Dataplanes(feed_->Dataplanes(), snapshot.version)}};
}

}  // namespace ringway::cp
