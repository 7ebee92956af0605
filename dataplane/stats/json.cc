// The stats as JSON; see render.h. The page's script reads the same keys (page.cc: Cell).
#include <boost/json.hpp>

#include "dataplane/stats/render.h"

namespace ringway::dp {
namespace {

namespace json = boost::json;

json::string_view View(std::string_view text) { return {text.data(), text.size()}; }

json::object ByClass(const Responses& responses) {
  static constexpr const char* kNames[] = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};
  json::object object;
  for (size_t c = 1; c < responses.size(); ++c) object[kNames[c]] = responses[c];
  return object;
}

template <size_t N>
json::object Named(const std::array<uint64_t, N>& values, const std::array<const char*, N>& names) {
  json::object object;
  for (size_t i = 0; i < N; ++i) {
    if (*names[i] != '\0') object[names[i]] = values[i];
  }
  return object;
}

json::object Traffic(const PacketTraffic& t) {
  return {{"flows", t.flows},
          {"flows_opened", t.flows_opened},
          {"flows_reset", t.flows_reset},
          {"flows_dropped", t.flows_dropped},
          {"refused", t.refused},
          {"packets_to_endpoint", t.packets_to_endpoint},
          {"bytes_to_endpoint", t.bytes_to_endpoint},
          {"packets_to_client", t.packets_to_client},
          {"bytes_to_client", t.bytes_to_client},
          {"syn_repeated", t.syn_repeated},
          {"endpoint_rtt_ms", static_cast<double>(t.endpoint_rtt.us) / 1000},
          {"client_rtt_ms", static_cast<double>(t.client_rtt.us) / 1000}};
}

json::object Packet(const PacketStats& p) {
  json::array interfaces;
  for (const PacketInterfaceStats& i : p.interfaces) interfaces.push_back({{"name", i.name}, {"how", i.how}, {"trouble", i.trouble}});
  json::object reasons;
  for (const PacketReason& r : p.reasons) reasons[r.name] = json::object{{"packets", r.packets}, {"bytes", r.bytes}, {"event", r.event}};
  return {{"wanted", p.wanted},
          {"active", p.active},
          {"snapshot_version", p.snapshot_version},
          {"trouble", p.trouble},
          {"interfaces", std::move(interfaces)},
          {"flow_entries", p.flow_entries},
          {"flow_entries_max", p.flow_entries_max},
          {"half_open_entries", p.half_open_entries},
          {"half_open_entries_max", p.half_open_entries_max},
          {"swept", p.swept},
          {"reasons", std::move(reasons)}};
}

json::object Endpoint(const EndpointStats& e) {
  return {{"id", e.id},
          {"address", e.address},
          {"generation", e.generation},
          {"weight", e.weight},
          {"state", e.state},
          {"reason", e.reason},
          {"ejected_workers", e.ejected},
          {"ejected_ms", e.ejected_ms},
          {"ejections", e.ejections},
          {"in_flight", e.in_flight},
          {"upstreams_open", e.upstreams_open},
          {"upstreams_idle", e.upstreams_idle},
          {"exchanges", e.exchanges},
          {"rate", e.rate},
          {"rate_max", e.rate_max},
          {"connects", e.connects},
          {"connect_failures", e.connect_failures},
          {"reuses", e.reuses},
          {"failures", e.failures},
          {"response_timeouts", e.response_timeouts},
          {"moved", e.moved},
          {"bytes_sent", e.bytes_sent},
          {"bytes_received", e.bytes_received},
          {"response_time_ms", static_cast<double>(e.response_time_us_ewma) / 1000},
          {"rtt_ms", static_cast<double>(e.rtt_us) / 1000},
          {"segments_sampled", e.segments_sampled},
          {"retransmits_sampled", e.retransmits_sampled},
          {"connect_chosen", e.connect_chosen},
          {"connect_open", e.connect_open},
          {"responses", ByClass(e.responses)},
          {"packet", Traffic(e.packet)},
          {"packet_trouble", e.packet_trouble}};
}

json::object Service(const ServiceStats& s) {
  json::array endpoints;
  for (const EndpointStats& e : s.endpoints) endpoints.push_back(Endpoint(e));
  return {{"name", s.name},
          {"balance", s.balance},
          {"ready", s.Ready()},
          {"requests", s.requests},
          {"rate", s.rate},
          {"rate_max", s.rate_max},
          {"in_flight", s.Sum(&EndpointStats::in_flight)},
          {"no_endpoint", s.no_endpoint},
          {"retries", s.retries},
          {"retries_pooled", s.retries_pooled},
          {"retries_denied", s.retries_denied},
          {"waiting", s.waiting},
          {"waiting_max", s.waiting_max},
          {"waited", s.waited},
          {"wait_timeouts", s.wait_timeouts},
          {"wait_full", s.wait_full},
          {"ejected", s.Ejected()},
          {"ejections", s.Sum(&EndpointStats::ejections)},
          {"ejections_denied", s.ejections_denied},
          {"failed", s.failed},
          {"client_aborts", s.client_aborts},
          {"bytes_sent", s.Sum(&EndpointStats::bytes_sent)},
          {"bytes_received", s.Sum(&EndpointStats::bytes_received)},
          {"latency_mean_ms", s.LatencyMeanMs()},
          {"latency_p50_ms", s.LatencyQuantileMs(0.5)},
          {"latency_p99_ms", s.LatencyQuantileMs(0.99)},
          {"responses", ByClass(s.responses)},
          {"by_packet", s.by_packet},
          {"packet", Traffic(s.packet)},
          {"endpoints", std::move(endpoints)}};
}

json::object Listener(const ListenerStats& l) {
  return {{"name", l.name},
          {"bind", l.bind},
          {"protocol", l.protocol},
          {"delivery", l.delivery},
          {"connect_chosen", l.connect_chosen},
          {"connect_empty", l.connect_empty},
          {"connect_foreign", l.connect_foreign},
          {"sessions_open", l.sessions_open},
          {"sessions", l.sessions},
          {"session_rate", l.session_rate},
          {"requests", l.requests},
          {"rate", l.rate},
          {"rate_max", l.rate_max},
          {"bytes_received", l.bytes_received},
          {"bytes_sent", l.bytes_sent},
          {"refused", Named(l.refused, kRefusalNames)},
          {"bad_requests", Named(l.bad_requests, kBadReasonNames)},
          {"refused_sum", l.RefusedSum()},
          {"responses", ByClass(l.responses)}};
}

json::object Worker(const WorkerStats& w) {
  return {{"cpu", w.cpu < 0 ? json::value(nullptr) : json::value(w.cpu)},
          {"pages", w.pages},
          {"bulk", w.bulk},
          {"sessions_open", w.sessions_open},
          {"exchanges_open", w.exchanges_open},
          {"upstreams_open", w.upstreams_open},
          {"buffers_small_used", w.buffers_small_used},
          {"buffers_large_used", w.buffers_large_used},
          {"pipes_used", w.pipes_used},
          {"turns", w.turns},
          {"completions", w.completions},
          {"unexpected", w.unexpected},
          {"accept_errors", w.accept_errors},
          {"bytes_copied", w.bytes_copied},
          {"bytes_spliced", w.bytes_spliced},
          {"limits", Named(w.limits, kLimitNames)},
          {"timeouts", Named(w.timeouts, kTimeoutNames)}};
}

json::object Feed(const FeedStats& f) {
  return {{"used", f.used},
          {"connected", f.connected},
          {"since_ms", f.since_ms},
          {"connects", f.connects},
          {"messages", f.messages},
          {"applied", f.applied},
          {"refused", f.refused},
          {"refusal", f.refusal},
          {"source", f.source},
          {"epoch", f.epoch},
          {"version", f.version},
          {"age_ms", f.age_ms}};
}

json::value Catalog(const CatalogStats& c) {
  if (!c.known) return nullptr;
  return json::object{{"name", c.name}, {"up", c.up}, {"trouble", c.trouble}, {"age_ms", c.age_ms}};
}

json::value Log(const AccessLogStatus& log) {
  return json::object{{"used", log.used},
                      {"path", log.path},
                      {"trouble", log.trouble},
                      {"written", log.written},
                      {"written_bytes", log.written_bytes},
                      {"dropped_ring", log.dropped_ring},
                      {"dropped_output", log.dropped_output}};
}

}  // namespace

std::string RenderJson(const StatsModel& model) {
  json::array listeners, services, workers, programs;
  for (const ListenerStats& l : model.listeners) listeners.push_back(Listener(l));
  for (const ServiceStats& s : model.services) services.push_back(Service(s));
  for (const WorkerStats& w : model.workers) workers.push_back(Worker(w));
  for (const ProgramStats& p : model.programs) programs.push_back(json::object{{"program", p.program}, {"state", p.state}, {"detail", p.detail}});
  const json::object document = {{"version", model.version},
                                 {"pid", model.pid},
                                 {"uptime_ms", model.uptime_ms},
                                 {"started_at", model.started_at},
                                 {"ready", model.ready},
                                 {"not_ready_reason", model.not_ready_reason},
                                 {"leaving", model.leaving},
                                 {"sessions_open", model.sessions_open},
                                 {"layout", View(LayoutOf(model))},
                                 {"feed", Feed(model.feed)},
                                 {"catalog", Catalog(model.catalog)},
                                 {"access_log", Log(model.access_log)},
                                 {"packet", Packet(model.packet)},
                                 {"listeners", std::move(listeners)},
                                 {"services", std::move(services)},
                                 {"workers", std::move(workers)},
                                 {"programs", std::move(programs)},
                                 {"steered", json::object{{"local", model.steered_local}, {"least", model.steered_least}, {"hashed", model.steered_hashed}}}};
  return json::serialize(document);
}

}  // namespace ringway::dp
