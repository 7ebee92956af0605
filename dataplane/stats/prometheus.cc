// Prometheus text; see render.h. One family at a time, HELP and TYPE once, names of base units.
#include <cstdio>
#include <functional>

#include "absl/strings/str_cat.h"
#include "dataplane/stats/render.h"

namespace ringway::dp {
namespace {

// Backslash, quote and line feed, as the format asks.
std::string Label(std::string_view name, std::string_view value) {
  std::string text(name);
  text += "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') text.push_back('\\');
    if (c == '\n') {
      text += "\\n";
    } else {
      text.push_back(c);
    }
  }
  return text + "\"";
}

std::string Seconds(double seconds) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", seconds);
  return text;
}

class Writer {
 public:
  void Family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = "ringway_" + std::string(name);
    absl::StrAppend(&out, "# HELP ", name_, " ", std::string(help), "\n# TYPE ", name_, " ", std::string(type), "\n");
  }
  void Sample(const std::string& labels, const std::string& value, std::string_view suffix = "") {
    absl::StrAppend(&out, name_, std::string(suffix));
    if (!labels.empty()) absl::StrAppend(&out, "{", labels, "}");
    absl::StrAppend(&out, " ", value, "\n");
  }
  void Sample(const std::string& labels, uint64_t value) { Sample(labels, absl::StrCat(value)); }
  std::string out;

 private:
  std::string name_;
};

void Process(Writer& w, const StatsModel& m) {
  w.Family("build_info", "gauge", "Always 1; the label is the version.");
  w.Sample(Label("version", m.version), 1);
  w.Family("start_time_seconds", "gauge", "When the process started, Unix time.");
  w.Sample("", static_cast<uint64_t>(m.started_at));
  w.Family("ready", "gauge", "1 while requests are served.");
  w.Sample("", m.ready ? 1 : 0);
  w.Family("leaving", "gauge", "1 while a successor has the listening sockets and open sessions are finished.");
  w.Sample("", m.leaving ? 1 : 0);
  w.Family("workers", "gauge", "Worker threads.");
  w.Sample("", m.workers.size());
}

void Feed(Writer& w, const FeedStats& f) {
  w.Family("feed_connected", "gauge", "1 while the control plane is connected.");
  w.Sample("", f.connected ? 1 : 0);
  w.Family("feed_snapshot_version", "gauge", "Version of the snapshot that every worker runs.");
  w.Sample("", f.version);
  w.Family("feed_snapshot_age_seconds", "gauge", "Since that snapshot was pushed, or its file written.");
  w.Sample("", Seconds(static_cast<double>(f.age_ms) / 1000));
  w.Family("feed_connects_total", "counter", "Connections made to the control plane.");
  w.Sample("", f.connects);
  w.Family("feed_messages_total", "counter", "Messages received from the control plane.");
  w.Sample("", f.messages);
  w.Family("feed_applied_total", "counter", "Snapshots and deltas taken.");
  w.Sample("", f.applied);
  w.Family("feed_refused_total", "counter", "Snapshots and deltas refused.");
  w.Sample("", f.refused);
}

// Absent until the control plane has spoken of it: 0 would say that all is well.
void Catalog(Writer& w, const CatalogStats& c) {
  if (!c.known) return;
  w.Family("catalog_up", "gauge", "1 while the control plane is heard and says that its catalog answers.");
  w.Sample("", c.up ? 1 : 0);
  w.Family("catalog_age_seconds", "gauge", "Since the catalog was last known to answer; grows too while the control plane is not heard.");
  w.Sample("", Seconds(static_cast<double>(c.age_ms) / 1000));
}

void Log(Writer& w, const AccessLogStatus& log) {
  if (log.used) {
    w.Family("access_log_up", "gauge", "1 while lines are written; absent when no listener logs.");
    w.Sample("", log.trouble.empty() ? 1 : 0);
  }
  w.Family("access_log_written_total", "counter", "Lines written to the access log.");
  w.Sample("", log.written);
  w.Family("access_log_written_bytes_total", "counter", "Bytes written to the access log.");
  w.Sample("", log.written_bytes);
  w.Family("access_log_dropped_total", "counter", "Lines of the access log that were not written.");
  w.Sample(Label("reason", "ring"), log.dropped_ring);
  w.Sample(Label("reason", "output"), log.dropped_output);
}

template <typename Items>
struct Group {
  Writer& w;
  const Items& items;
  std::function<std::string(const typename Items::value_type&)> labels;

  template <typename T>
  void operator()(const char* name, const char* type, const char* help, T member) {
    w.Family(name, type, help);
    for (const auto& item : items) w.Sample(labels(item), item.*member);
  }
  template <typename T, size_t N>
  void Each(const char* name, const char* help, const char* label, T member,
            const std::array<const char*, N>& names) {
    w.Family(name, "counter", help);
    for (const auto& item : items) {
      for (size_t i = 0; i < N; ++i) {
        if (*names[i] == '\0') continue;
        w.Sample(absl::StrCat(labels(item), ",", Label(label, names[i])), (item.*member)[i]);
      }
    }
  }
};

constexpr std::array<const char*, 6> kClasses = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};

void Listeners(Writer& w, const std::vector<ListenerStats>& listeners) {
  using L = ListenerStats;
  Group<std::vector<L>> group{w, listeners, [](const L& l) { return Label("listener", l.name); }};
  group("listener_sessions_open", "gauge", "Client connections open now.", &L::sessions_open);
  group("listener_sessions_total", "counter", "Client connections taken.", &L::sessions);
  group("listener_requests_total", "counter", "Request heads received.", &L::requests);
  group("listener_received_bytes_total", "counter", "Bytes from clients.", &L::bytes_received);
  group("listener_connect_chosen_total", "counter", "Connect delivery: connects, and first UDP datagrams, led to an endpoint.", &L::connect_chosen);
  group("listener_connect_empty_total", "counter", "Connect delivery: connects that found no ready endpoint.", &L::connect_empty);
  group("listener_connect_foreign_total", "counter", "Connect delivery: connects from another network namespace than a loopback address's own.", &L::connect_foreign);
  group("listener_sent_bytes_total", "counter", "Bytes to clients.", &L::bytes_sent);
  group.Each("listener_refused_total", "Requests refused by Ringway itself.", "reason", &L::refused, kRefusalNames);
  group.Each("listener_bad_requests_total", "Of these refused as bad_request, by what was wrong.", "reason", &L::bad_requests, kBadReasonNames);
  group.Each("listener_responses_total", "Responses sent to clients.", "class", &L::responses, kClasses);
}

void Latency(Writer& w, const std::vector<ServiceStats>& services) {
  w.Family("service_response_time_seconds", "histogram",
           "From the complete request head to the response's first byte passed on.");
  for (const ServiceStats& s : services) {
    const std::string label = Label("service", s.name);
    uint64_t seen = 0;
    for (uint32_t b = 0; b + 1 < kLatencyBuckets; ++b) {
      seen += s.latency[b];
      const double bound = static_cast<double>(uint64_t{1} << (b + 1)) / 1e6;
      w.Sample(absl::StrCat(label, ",", Label("le", Seconds(bound))), absl::StrCat(seen), "_bucket");
    }
    const uint64_t count = s.LatencyCount();
    w.Sample(label + ",le=\"+Inf\"", absl::StrCat(count), "_bucket");
    w.Sample(label, Seconds(static_cast<double>(s.latency_sum_us) / 1e6), "_sum");
    w.Sample(label, absl::StrCat(count), "_count");
  }
}

void Services(Writer& w, const std::vector<ServiceStats>& services) {
  using S = ServiceStats;
  Group<std::vector<S>> group{w, services, [](const S& s) { return Label("service", s.name); }};
  group("service_requests_total", "counter", "Requests, or TCP sessions, routed to the service.", &S::requests);
  group("service_no_endpoint_total", "counter", "Answered 503 because no endpoint was ready.", &S::no_endpoint);
  group("service_retries_total", "counter", "Further attempts for a request.", &S::retries);
  group("service_retries_pooled_total", "counter", "Of these, because a pooled connection had died; outside the retry budget.", &S::retries_pooled);
  group("service_retries_denied_total", "counter", "Attempts not made because the retry budget was spent.", &S::retries_denied);
  group("service_waiting", "gauge", "Requests that wait for room at an endpoint, or for an endpoint.", &S::waiting);
  group("service_waited_total", "counter", "Times a request had to wait, however it ended.", &S::waited);
  group("service_wait_timeouts_total", "counter", "Of these, answered 503 when their time was over.", &S::wait_timeouts);
  group("service_wait_full_total", "counter", "Answered 503 at once because as many waited already as may.", &S::wait_full);
  group("service_ejections_denied_total", "counter", "Endpoints not ejected because too many were out already.", &S::ejections_denied);
  group("service_failed_total", "counter", "Answered 502 or 504, or cut off.", &S::failed);
  group("service_client_aborts_total", "counter", "Clients that went away during an exchange.", &S::client_aborts);
  group.Each("service_responses_total", "Responses as clients saw them.", "class", &S::responses, kClasses);
  w.Family("service_endpoints", "gauge", "Endpoints by state.");
  for (const S& s : services) {
    for (const char* state : {"ready", "ejected", "draining", "down", "left"}) {
      uint64_t count = 0;
      for (const EndpointStats& e : s.endpoints) count += e.state == state ? 1 : 0;
      w.Sample(absl::StrCat(Label("service", s.name), ",", Label("state", state)), count);
    }
  }
  Latency(w, services);
}

struct NamedEndpoint : EndpointStats {
  std::string service;
  uint64_t ready = 0;
};

// The generation keeps apart an instance and its successor while both are there.
std::string EndpointLabels(const NamedEndpoint& e) {
  return absl::StrCat(Label("service", e.service), ",", Label("endpoint", e.id), ",", Label("address", e.address), ",",
                      Label("generation", absl::StrCat(e.generation)));
}

void Endpoints(Writer& w, const std::vector<ServiceStats>& services) {
  std::vector<NamedEndpoint> all;
  for (const ServiceStats& s : services) {
    for (const EndpointStats& e : s.endpoints) all.push_back({e, s.name, e.state == "ready" ? 1u : 0u});
  }
  using E = NamedEndpoint;
  Group<std::vector<E>> group{w, all, EndpointLabels};
  group("endpoint_ready", "gauge", "1 while it may get new requests.", &E::ready);
  group("endpoint_weight", "gauge", "Weight.", &E::weight);
  group("endpoint_ejected", "gauge", "Workers that keep it out because of what they saw of it; 0: none.", &E::ejected);
  group("endpoint_ejections_total", "counter", "Ejections by passive health, each worker's counted.", &E::ejections);
  group("endpoint_in_flight", "gauge", "Exchanges bound to it now.", &E::in_flight);
  group("endpoint_upstreams_open", "gauge", "Connections to it, connecting and idle ones included.", &E::upstreams_open);
  group("endpoint_upstreams_idle", "gauge", "Pooled connections to it.", &E::upstreams_idle);
  group("endpoint_exchanges_total", "counter", "Exchanges, or TCP sessions, given to it.", &E::exchanges);
  group("endpoint_connects_total", "counter", "Connections begun.", &E::connects);
  group("endpoint_connect_failures_total", "counter", "Connections refused, unreachable or timed out.", &E::connect_failures);
  group("endpoint_reuses_total", "counter", "Exchanges that took a pooled connection.", &E::reuses);
  group("endpoint_failures_total", "counter", "Died or broke the protocol during an exchange.", &E::failures);
  group("endpoint_response_timeouts_total", "counter", "No response in time.", &E::response_timeouts);
  group("endpoint_moved_total", "counter", "Exchanges that left it for another endpoint.", &E::moved);
  group("endpoint_sent_bytes_total", "counter", "Bytes to the endpoint.", &E::bytes_sent);
  group("endpoint_received_bytes_total", "counter", "Bytes from the endpoint.", &E::bytes_received);
  group("endpoint_connect_chosen_total", "counter", "Connect delivery: sockets led to it.", &E::connect_chosen);
  group("endpoint_connect_open", "gauge", "Connect delivery: sockets connected to it now.", &E::connect_open);
  group("endpoint_segments_sampled_total", "counter", "TCP segments sent to it, of sampled connections.", &E::segments_sampled);
  group("endpoint_retransmits_sampled_total", "counter", "Of these, sent again.", &E::retransmits_sampled);
  w.Family("endpoint_rtt_seconds", "gauge", "Smoothed round trip to it as the kernel sees it, sampled; 0: not known.");
  for (const E& e : all) w.Sample(group.labels(e), Seconds(static_cast<double>(e.rtt_us) / 1e6));
  group.Each("endpoint_responses_total", "Responses of the endpoint.", "class", &E::responses, kClasses);
  w.Family("endpoint_response_time_seconds_total", "counter", "From choice to first response byte, added up.");
  for (const E& e : all) w.Sample(group.labels(e), Seconds(static_cast<double>(e.response_time_us_sum) / 1e6));
}

template <typename Items>
void PacketTraffics(Writer& w, const char* what, const Items& items, std::function<std::string(const typename Items::value_type&)> labels) {
  struct Metric {
    const char* name;
    const char* type;
    const char* help;
    uint64_t PacketTraffic::*member;
  };
  static constexpr Metric kMetrics[] = {
      {"flows", "gauge", "Flows open at the last count, about once a second.", &PacketTraffic::flows},
      {"flows_total", "counter", "Flows begun.", &PacketTraffic::flows_opened},
      {"flows_reset_total", "counter", "RST seen from either side.", &PacketTraffic::flows_reset},
      {"flows_dropped_total", "counter", "Flows ended because the endpoint died or was replaced.", &PacketTraffic::flows_dropped},
      {"flows_refused_total", "counter", "Flows that could not begin: no endpoint, no port.", &PacketTraffic::refused},
      {"to_endpoint_packets_total", "counter", "Packets to endpoints, each segment of a large one counted.", &PacketTraffic::packets_to_endpoint},
      {"to_endpoint_bytes_total", "counter", "Bytes to endpoints, from the IP header on.", &PacketTraffic::bytes_to_endpoint},
      {"to_client_packets_total", "counter", "Packets to clients; none with direct return.", &PacketTraffic::packets_to_client},
      {"to_client_bytes_total", "counter", "Bytes to clients.", &PacketTraffic::bytes_to_client},
      {"syn_repeated_total", "counter", "SYNs sent again by clients that got no answer in time.", &PacketTraffic::syn_repeated}};
  for (const Metric& metric : kMetrics) {
    w.Family(absl::StrCat("packet_", what, "_", metric.name), metric.type, metric.help);
    for (const auto& item : items) w.Sample(labels(item), item.packet.*metric.member);
  }
  const auto round_trip = [&](const char* name, const char* help, PacketRoundTrip PacketTraffic::*member) {
    w.Family(absl::StrCat("packet_", what, "_", name), "summary", help);
    for (const auto& item : items) {
      const PacketRoundTrip& one = item.packet.*member;
      w.Sample(labels(item), Seconds(static_cast<double>(one.us_sum) / 1e6), "_sum");
      w.Sample(labels(item), absl::StrCat(one.samples), "_count");
    }
  };
  round_trip("handshake_to_endpoint_seconds", "Round trips between SYN and SYN-ACK; none with direct return.", &PacketTraffic::endpoint_rtt);
  round_trip("handshake_to_client_seconds", "Round trips between SYN-ACK and ACK; none with direct return.", &PacketTraffic::client_rtt);
}

// Absent while no listener asks for it.
void Packet(Writer& w, const StatsModel& m) {
  const PacketStats& p = m.packet;
  if (!p.wanted) return;
  w.Family("packet_active", "gauge", "1 while the kernel delivers packets; 0: its listeners have fallen back.");
  w.Sample("", p.active ? 1 : 0);
  if (!p.active) return;
  w.Family("packet_trouble", "gauge", "1 while something of packet delivery is not as it should be; the stats page says what.");
  w.Sample("", p.trouble.empty() ? 0 : 1);
  w.Family("packet_snapshot_version", "gauge", "Version of the snapshot that the kernel's tables hold.");
  w.Sample("", p.snapshot_version);
  w.Family("packet_interface_attached", "gauge", "1 while the programs are attached to the interface.");
  for (const PacketInterfaceStats& i : p.interfaces) w.Sample(absl::StrCat(Label("interface", i.name), ",", Label("how", i.how.empty() ? "none" : i.how)), i.how.empty() ? 0 : 1);
  const std::pair<const char*, uint64_t> tables[] = {{"flows", p.flow_entries}, {"half_open", p.half_open_entries}};
  const std::pair<const char*, uint64_t> sizes[] = {{"flows", p.flow_entries_max}, {"half_open", p.half_open_entries_max}};
  w.Family("packet_table_entries", "gauge", "Entries of the flow tables; a connection takes two, one with direct return.");
  for (const auto& [table, entries] : tables) w.Sample(Label("table", table), entries);
  w.Family("packet_table_entries_max", "gauge", "Entries there is room for.");
  for (const auto& [table, entries] : sizes) w.Sample(Label("table", table), entries);
  w.Family("packet_flows_timed_out_total", "counter", "Flows ended because nothing came any more; of this process.");
  w.Sample("", p.swept);
  w.Family("packet_packets_total", "counter", "Packets by what became of them; each once.");
  for (const PacketReason& r : p.reasons) if (!r.event) w.Sample(Label("reason", r.name), r.packets);
  w.Family("packet_bytes_total", "counter", "Bytes by what became of them.");
  for (const PacketReason& r : p.reasons) if (!r.event) w.Sample(Label("reason", r.name), r.bytes);
  w.Family("packet_events_total", "counter", "What happened on the way, counted besides.");
  for (const PacketReason& r : p.reasons) if (r.event) w.Sample(Label("event", r.name), r.packets);
  std::vector<ServiceStats> services;
  std::vector<NamedEndpoint> endpoints;
  for (const ServiceStats& s : m.services) {
    if (!s.by_packet) continue;
    services.push_back(s);
    for (const EndpointStats& e : s.endpoints) endpoints.push_back({e, s.name, 0});
  }
  PacketTraffics(w, "service", services, [](const ServiceStats& s) { return Label("service", s.name); });
  PacketTraffics(w, "endpoint", endpoints, EndpointLabels);
}

void Programs(Writer& w, const StatsModel& m) {
  if (m.programs.empty()) return;
  w.Family("program_on", "gauge", "1 while this kernel program is loaded and does its work.");
  for (const ProgramStats& p : m.programs) w.Sample(Label("program", p.program), p.state == "on" ? 1 : 0);
  w.Family("program_refused", "gauge", "1 when it is wanted and cannot be had.");
  for (const ProgramStats& p : m.programs) w.Sample(Label("program", p.program), p.state == "refused" ? 1 : 0);
  w.Family("steered_total", "counter", "New connections by how their worker was chosen, while steering is on.");
  w.Sample(Label("by", "local"), m.steered_local);
  w.Sample(Label("by", "least"), m.steered_least);
  w.Sample(Label("by", "hash"), m.steered_hashed);
}

struct NumberedWorker : WorkerStats {
  size_t number = 0;
};

void Workers(Writer& w, const std::vector<WorkerStats>& workers) {
  std::vector<NumberedWorker> all;
  for (const WorkerStats& worker : workers) all.push_back({worker, all.size()});
  using W = NumberedWorker;
  Group<std::vector<W>> group{w, all, [](const W& x) { return Label("worker", absl::StrCat(x.number)); }};
  group.Each("worker_limits_total", "Times a limit was hit.", "limit", &W::limits, kLimitNames);
  group.Each("worker_timeouts_total", "Time-outs that ended something.", "timeout", &W::timeouts, kTimeoutNames);
  group("worker_accept_errors_total", "counter", "Failed accepts, limits aside.", &W::accept_errors);
  group("worker_turns_total", "counter", "Turns of the loop.", &W::turns);
  group("worker_completions_total", "counter", "Completions handled.", &W::completions);
  group("worker_unexpected_total", "counter", "Operations that ended in an errno nobody foresaw.", &W::unexpected);
  group("worker_sessions_open", "gauge", "Client connections open.", &W::sessions_open);
  group("worker_exchanges_open", "gauge", "Exchanges under way.", &W::exchanges_open);
  group("worker_upstreams_open", "gauge", "Connections to endpoints.", &W::upstreams_open);
  group("worker_buffers_small_used", "gauge", "Small buffers in use.", &W::buffers_small_used);
  group("worker_buffers_large_used", "gauge", "Large buffers in use.", &W::buffers_large_used);
  group("worker_pipes_used", "gauge", "Pipes in use.", &W::pipes_used);
  group("worker_splice_refused", "gauge", "1: the kernel or a sandbox refuses splice, bulk is copied.", &W::splice_refused);
  group("worker_copied_bytes_total", "counter", "Bytes sent to clients from user memory.", &W::bytes_copied);
  group("worker_spliced_bytes_total", "counter", "Bytes sent to clients out of a pipe, never in user memory.", &W::bytes_spliced);
}

}  // namespace

std::string RenderPrometheus(const StatsModel& model) {
  Writer w;
  Process(w, model);
  Feed(w, model.feed);
  Catalog(w, model.catalog);
  Log(w, model.access_log);
  Listeners(w, model.listeners);
  Services(w, model.services);
  Endpoints(w, model.services);
  Packet(w, model);
  Workers(w, model.workers);
  Programs(w, model);
  return std::move(w.out);
}

}  // namespace ringway::dp
