// Adds up the workers' counters; see collector.h.
#include "dataplane/stats/collector.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/api/feed_json.h"
#include "dataplane/feed/address.h"
#include "dataplane/feed/ejections.h"
#include "dataplane/kernel/packet_delivery.h"
#include "dataplane/kernel/packet_wanted.h"

namespace ringway::dp {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using Workers = std::vector<const WorkerShared*>;

// The control plane speaks of its catalog every second.
constexpr std::chrono::seconds kCatalogSilent{5};

uint64_t MsSince(Clock::time_point at) {
  return static_cast<uint64_t>(duration_cast<milliseconds>(Clock::now() - at).count());
}

template <typename Get>
uint64_t Sum(const Workers& workers, Get get) {
  uint64_t sum = 0;
  for (const WorkerShared* worker : workers) sum += get(worker->counters).Get();
  return sum;
}

template <size_t N, typename Get>
std::array<uint64_t, N> SumEach(const Workers& workers, Get get) {
  std::array<uint64_t, N> sums{};
  for (const WorkerShared* worker : workers) {
    const std::array<Counter, N>& counters = get(worker->counters);
    for (size_t i = 0; i < N; ++i) sums[i] += counters[i].Get();
  }
  return sums;
}

template <size_t N>
std::array<uint64_t, N> Values(const std::array<Counter, N>& counters) {
  std::array<uint64_t, N> values{};
  for (size_t i = 0; i < N; ++i) values[i] = counters[i].Get();
  return values;
}

// Workers that had no exchange with the endpoint do not pull its mean down.
uint64_t MeanOfNonZero(const Workers& workers, EndpointHandle handle, Counter EndpointCounters::*member) {
  uint64_t sum = 0, count = 0;
  for (const WorkerShared* worker : workers) {
    const uint64_t value = (worker->counters.endpoints[handle].*member).Get();
    sum += value;
    count += value != 0 ? 1 : 0;
  }
  return count == 0 ? 0 : sum / count;
}

WorkerStats CollectWorker(const WorkerShared& worker) {
  static constexpr const char* kPages[] = {"small", "huge", "transparent"};  // uring's Pages
  const WorkerCounters& c = worker.counters.worker;
  WorkerStats stats;
  stats.cpu = worker.cpu.load(std::memory_order_relaxed);
  stats.pages = kPages[std::min<size_t>(worker.pages.load(std::memory_order_relaxed), 2)];
  static constexpr const char* kBulk[] = {"splice", "copy", "copy (splice refused)"};  // BulkBy
  const BulkBy bulk = worker.bulk.load(std::memory_order_relaxed);
  stats.bulk = kBulk[static_cast<size_t>(bulk)];
  stats.splice_refused = bulk == BulkBy::kCopySpliceRefused;
  stats.limits = Values(c.limits_total);
  stats.timeouts = Values(c.timeouts_total);
  stats.accept_errors = c.accept_errors_total.Get();
  stats.turns = c.turns_total.Get();
  stats.completions = c.completions_total.Get();
  stats.unexpected = c.unexpected_total.Get();
  stats.sessions_open = c.sessions_open.Get();
  stats.exchanges_open = c.exchanges_open.Get();
  stats.upstreams_open = c.upstreams_open.Get();
  stats.buffers_small_used = c.buffers_small_used.Get();
  stats.buffers_large_used = c.buffers_large_used.Get();
  stats.pipes_used = c.pipes_used.Get();
  stats.bytes_copied = c.bytes_copied_total.Get();
  stats.bytes_spliced = c.bytes_spliced_total.Get();
  return stats;
}

}  // namespace

Collector::Collector(std::vector<const WorkerShared*> workers, const Applier& applier,
                     const FeedClient* feed, const PacketDelivery* packet)
    : workers_(std::move(workers)), applier_(applier), feed_(feed), packet_(packet) {}

void Collector::Rate::Tick(uint64_t now, double seconds) {
  const uint64_t grown = now >= total ? now - total : now;
  rate = static_cast<uint64_t>(std::llround(static_cast<double>(grown) / seconds));
  rate_max = now >= total ? std::max(rate_max, rate) : rate;
  total = now;
}

void Collector::Tick() {
  const double seconds = std::max(0.001, std::chrono::duration<double>(Clock::now() - ticked_).count());
  ticked_ = Clock::now();
  const Directory& directory = applier_.directory();
  const auto tick = [&](std::vector<Rate>& rates, uint32_t handle, uint64_t total) {
    if (rates.size() <= handle) rates.resize(handle + 1);
    rates[handle].Tick(total, seconds);
  };
  for (const auto& [name, h] : directory.listeners) {
    tick(listener_rates_, h, Sum(workers_, [i = h](const auto& c) -> const Counter& { return c.listeners[i].requests_total; }));
    tick(session_rates_, h, Sum(workers_, [i = h](const auto& c) -> const Counter& { return c.listeners[i].sessions_total; }));
  }
  std::vector<uint64_t> waiting_max(kServicesMax);  // handles that nobody has begin at zero
  for (const auto& [name, h] : directory.services) {
    waiting_max[h] = std::max(h < waiting_max_.size() ? waiting_max_[h] : 0, Waiting(h));
    tick(service_rates_, h, Sum(workers_, [i = h](const auto& c) -> const Counter& { return c.services[i].requests_total; }));
  }
  waiting_max_ = std::move(waiting_max);
  for (const auto& [h, record] : directory.endpoints) {
    tick(endpoint_rates_, h, Sum(workers_, [i = h](const auto& c) -> const Counter& { return c.endpoints[i].exchanges_total; }));
  }
}

std::string Collector::NotReadyReason() const {
  if (stopping_) return "stopping: no new connections are taken";
  if (applier_.leaving()) {
    return "finishing: " + std::to_string(SessionsOpen()) + " sessions are open, a successor takes new ones";
  }
  const Applied& applied = applier_.applied();
  if (applied.snapshot != nullptr) return "";
  if (!applied.refusal.empty()) return "no snapshot could be taken: " + applied.refusal;
  if (feed_ != nullptr && !feed_->status().connected) {
    return "no snapshot yet: no control plane, and none kept on disk";
  }
  return "no snapshot yet";
}

StatsModel Collector::Collect() const {
  StatsModel model;
  model.version = RINGWAY_VERSION;
  model.pid = getpid();
  model.uptime_ms = MsSince(started_);
  model.started_at = std::chrono::system_clock::to_time_t(started_at_);
  model.not_ready_reason = NotReadyReason();
  model.ready = model.not_ready_reason.empty();
  model.leaving = applier_.leaving();
  model.sessions_open = SessionsOpen();
  model.feed = CollectFeed();
  if (feed_ != nullptr) model.catalog = CatalogFrom(feed_->status(), std::chrono::system_clock::now(), Clock::now());
  if (access_log_ != nullptr) model.access_log = access_log_->Status();
  for (const WorkerShared* worker : workers_) model.workers.push_back(CollectWorker(*worker));
  if (sockets_ != nullptr) CollectPrograms(model);
  const Directory& directory = applier_.directory();
  if (directory.snapshot == nullptr) return model;
  for (const api::Listener& listener : directory.snapshot->listeners) {
    model.listeners.push_back(CollectListener(listener, directory.listeners.at(listener.name)));
  }
  std::map<std::string_view, size_t> position;
  for (const api::Service& service : directory.snapshot->services) {
    position[service.name] = model.services.size();
    model.services.push_back(CollectService(service, directory.services.at(service.name)));
  }
  for (const auto& [handle, record] : directory.endpoints) {
    const auto found = position.find(record.service);
    if (found == position.end()) continue;  // the whole service left
    EndpointStats& stats = model.services[found->second].endpoints.emplace_back(CollectEndpoint(handle, record));
    stats.in_flight_max = directory.snapshot->services[found->second].endpoint_limit.in_flight_max;
  }
  if (packet_ != nullptr) SetPacket(model);
  for (ServiceStats& service : model.services) {
    std::sort(service.endpoints.begin(), service.endpoints.end(), [](const auto& a, const auto& b) {
      return std::tie(a.id, a.generation, a.address) < std::tie(b.id, b.generation, b.address);
    });
  }
  return model;
}

// After the endpoints are there, and before they are sorted.
void Collector::SetPacket(StatsModel& model) const {
  model.packet = packet_->Stats();
  const Directory& directory = applier_.directory();
  for (ServiceStats& service : model.services) {
    const auto traffic = model.packet.services.find(service.name);
    if (traffic == model.packet.services.end()) continue;
    service.by_packet = true;
    service.packet = traffic->second;
  }
  std::map<std::pair<std::string_view, std::string_view>, const EndpointRecord*> records;
  for (const auto& [handle, record] : directory.endpoints) records[{record.service, record.endpoint.id}] = &record;
  for (ServiceStats& service : model.services) {
    if (!service.by_packet) continue;
    for (EndpointStats& endpoint : service.endpoints) {
      const auto record = records.find({service.name, endpoint.id});
      if (record == records.end() || record->second->endpoint.generation != endpoint.generation) continue;
      const uint64_t identity = PacketIdentity(service.name, record->second->endpoint);
      const auto traffic = model.packet.endpoints.find(identity);
      if (traffic != model.packet.endpoints.end()) endpoint.packet = traffic->second;
      const auto trouble = model.packet.endpoint_troubles.find(identity);
      if (trouble != model.packet.endpoint_troubles.end()) endpoint.packet_trouble = trouble->second;
    }
  }
  for (size_t i = 0; i < model.listeners.size(); ++i) {
    const api::Listener& listener = directory.snapshot->listeners[i];
    if (listener.delivery != api::Delivery::kPacket || model.packet.active) continue;
    const bool proxied = listener.fallback == api::Fallback::kProxy && listener.protocol != api::Protocol::kUdp;
    model.listeners[i].delivery = proxied ? "proxy instead of packet" : "none: packet is not possible";
  }
}

void Collector::CollectPrograms(StatsModel& model) const {
  for (const ProgramState& state : sockets_->States()) model.programs.push_back({state.program, state.state, state.detail});
  const SteerCount steered = sockets_->Steered();
  model.steered_local = steered.local;
  model.steered_least = steered.least;
  model.steered_hashed = steered.hashed;
}

FeedStats Collector::CollectFeed() const {
  FeedStats stats;
  if (feed_ != nullptr) {
    const FeedStatus& status = feed_->status();
    stats.used = true;
    stats.connected = status.connected;
    stats.since_ms = MsSince(status.since);
    stats.connects = status.connects_total;
    stats.messages = status.messages_total;
  }
  const Applied& applied = applier_.applied();
  stats.applied = applied.applied_total;
  stats.refused = applied.refused_total;
  stats.refusal = applied.refusal;
  if (applied.snapshot == nullptr) return stats;
  stats.source = applied.source;
  stats.epoch = applied.snapshot->epoch;
  stats.version = applied.snapshot->version;
  const auto age = std::chrono::system_clock::now() - applied.at;
  stats.age_ms = static_cast<uint64_t>(std::max<int64_t>(0, duration_cast<milliseconds>(age).count()));
  return stats;
}

CatalogStats CatalogFrom(const FeedStatus& feed, std::chrono::system_clock::time_point wall_now,
                         Clock::time_point now) {
  CatalogStats stats;
  if (!feed.catalog) return stats;
  const api::CatalogStatus& catalog = *feed.catalog;
  stats.known = true;
  stats.name = catalog.name;
  const int64_t wall_ms = duration_cast<milliseconds>(wall_now.time_since_epoch()).count();
  stats.age_ms = static_cast<uint64_t>(std::max<int64_t>(0, wall_ms - catalog.good_unix_ms));
  if (!feed.connected) {
    stats.trouble = "not known, there is no control plane";
  } else if (now - feed.catalog_at > kCatalogSilent) {
    stats.trouble = "not known, the control plane says nothing";
  } else if (!catalog.ok) {
    stats.trouble = catalog.error.empty() ? "does not answer" : catalog.error;
  }
  stats.up = stats.trouble.empty();
  return stats;
}

uint64_t Collector::SessionsOpen() const {
  return Sum(workers_, [](const CounterTable& c) -> const Counter& { return c.worker.sessions_open; });
}

uint64_t Collector::Waiting(ServiceHandle handle) const {
  return Sum(workers_, [&](const CounterTable& c) -> const Counter& { return c.services[handle].waiting; });
}

ListenerStats Collector::CollectListener(const api::Listener& listener, ListenerHandle h) const {
  ListenerStats stats;
  stats.name = listener.name;
  stats.bind = SpellAddress(applier_.current().listeners[h]->address);
  stats.protocol = api::NameOf(listener.protocol);
  stats.delivery = api::NameOf(listener.delivery);
  if (sockets_ != nullptr) {
    const ConnectCount connects = sockets_->OfListener(listener.name);
    stats.connect_chosen = connects.chosen;
    stats.connect_empty = connects.empty;
    stats.connect_foreign = connects.foreign;
  }
  const auto sum = [&](Counter ListenerCounters::*member) {
    return Sum(workers_, [&](const CounterTable& c) -> const Counter& { return c.listeners[h].*member; });
  };
  stats.sessions_open = sum(&ListenerCounters::sessions_open);
  stats.sessions = sum(&ListenerCounters::sessions_total);
  stats.requests = sum(&ListenerCounters::requests_total);
  stats.bytes_received = sum(&ListenerCounters::bytes_received_total);
  stats.bytes_sent = sum(&ListenerCounters::bytes_sent_total);
  stats.refused = SumEach<kRefusals>(workers_, [&](const CounterTable& c) -> const auto& { return c.listeners[h].refused_total; });
  stats.bad_requests = SumEach<kBadReasonNames.size()>(
      workers_, [&](const CounterTable& c) -> const auto& { return c.listeners[h].bad_requests_total; });
  stats.responses = SumEach<6>(workers_, [&](const CounterTable& c) -> const auto& { return c.listeners[h].responses_total; });
  if (h < listener_rates_.size()) {
    stats.rate = listener_rates_[h].rate;
    stats.rate_max = listener_rates_[h].rate_max;
    stats.session_rate = session_rates_[h].rate;
    stats.session_rate_max = session_rates_[h].rate_max;
  }
  return stats;
}

ServiceStats Collector::CollectService(const api::Service& service, ServiceHandle h) const {
  ServiceStats stats;
  stats.name = service.name;
  stats.balance = api::NameOf(service.balance);
  const auto sum = [&](Counter ServiceCounters::*member) {
    return Sum(workers_, [&](const CounterTable& c) -> const Counter& { return c.services[h].*member; });
  };
  stats.requests = sum(&ServiceCounters::requests_total);
  stats.no_endpoint = sum(&ServiceCounters::no_endpoint_total);
  stats.retries = sum(&ServiceCounters::retries_total);
  stats.failed = sum(&ServiceCounters::failed_total);
  stats.client_aborts = sum(&ServiceCounters::client_aborts_total);
  stats.retries_pooled = sum(&ServiceCounters::retries_pooled_total);
  stats.retries_denied = sum(&ServiceCounters::retries_denied_total);
  stats.ejections_denied = sum(&ServiceCounters::ejections_denied_total);
  stats.waiting = Waiting(h);
  stats.waiting_max = std::max(stats.waiting, h < waiting_max_.size() ? waiting_max_[h] : 0);
  stats.waited = sum(&ServiceCounters::waited_total);
  stats.wait_timeouts = sum(&ServiceCounters::wait_timeouts_total);
  stats.wait_full = sum(&ServiceCounters::wait_full_total);
  stats.responses = SumEach<6>(workers_, [&](const CounterTable& c) -> const auto& { return c.services[h].responses_total; });
  stats.latency = SumEach<kLatencyBuckets>(
      workers_, [&](const CounterTable& c) -> const auto& { return c.services[h].response_time.buckets; });
  stats.latency_sum_us = Sum(workers_, [&](const CounterTable& c) -> const Counter& { return c.services[h].response_time.sum_us; });
  if (h < service_rates_.size()) {
    stats.rate = service_rates_[h].rate;
    stats.rate_max = service_rates_[h].rate_max;
  }
  return stats;
}

void Collector::SetEjection(EndpointHandle h, EndpointStats& stats) const {
  const EjectionState ejection = EjectionOf(h, workers_, MonotonicNowUs());
  stats.ejections = ejection.times;
  if (ejection.workers == 0 || stats.state != "ready") return;
  stats.ejected = ejection.workers;
  stats.ejected_ms = (ejection.remaining_us + 999) / 1000;
  const bool everywhere = ejection.workers == workers_.size();
  if (everywhere) stats.state = "ejected";
  std::string reason = ejection.reason;
  if (!everywhere) reason = absl::StrCat("kept out by ", ejection.workers, " of ", workers_.size(), " workers: ", reason);
  stats.reason = stats.reason.empty() ? reason : absl::StrCat(reason, "; ", stats.reason);
}

EndpointStats Collector::CollectEndpoint(EndpointHandle h, const EndpointRecord& record) const {
  EndpointStats stats;
  const api::Endpoint& endpoint = record.endpoint;
  stats.id = endpoint.id;
  stats.address = endpoint.address.find(':') == std::string::npos
                      ? endpoint.address + ":" + std::to_string(endpoint.port)
                      : "[" + endpoint.address + "]:" + std::to_string(endpoint.port);
  stats.generation = endpoint.generation;
  stats.weight = endpoint.weight;
  stats.state = record.left ? "left" : api::NameOf(record.endpoint.state);
  stats.reason = endpoint.reason;
  SetEjection(h, stats);
  const auto sum = [&](Counter EndpointCounters::*member) {
    return Sum(workers_, [&](const CounterTable& c) -> const Counter& { return c.endpoints[h].*member; });
  };
  stats.in_flight = sum(&EndpointCounters::exchanges_in_flight);
  stats.upstreams_open = sum(&EndpointCounters::upstreams_open);
  stats.upstreams_idle = sum(&EndpointCounters::upstreams_idle);
  stats.exchanges = sum(&EndpointCounters::exchanges_total);
  stats.rtt_us = MeanOfNonZero(workers_, h, &EndpointCounters::rtt_us_ewma);
  stats.segments_sampled = sum(&EndpointCounters::segments_sampled_total);
  stats.retransmits_sampled = sum(&EndpointCounters::retransmits_sampled_total);
  if (sockets_ != nullptr) {
    const ConnectCount connects = sockets_->OfEndpoint(record.service, endpoint);
    stats.connect_chosen = connects.chosen;
    stats.connect_open = connects.open;
  }
  stats.connects = sum(&EndpointCounters::connects_total);
  stats.connect_failures = sum(&EndpointCounters::connect_failures_total);
  stats.reuses = sum(&EndpointCounters::reuses_total);
  stats.failures = sum(&EndpointCounters::failures_total);
  stats.response_timeouts = sum(&EndpointCounters::response_timeouts_total);
  stats.moved = sum(&EndpointCounters::moved_total);
  stats.bytes_sent = sum(&EndpointCounters::bytes_sent_total);
  stats.bytes_received = sum(&EndpointCounters::bytes_received_total);
  stats.response_time_us_sum = sum(&EndpointCounters::response_time_us_total);
  stats.response_time_us_ewma = MeanOfNonZero(workers_, h, &EndpointCounters::response_time_us_ewma);
  stats.responses = SumEach<6>(workers_, [&](const CounterTable& c) -> const auto& { return c.endpoints[h].responses_total; });
  if (h < endpoint_rates_.size()) {
    stats.rate = endpoint_rates_[h].rate;
    stats.rate_max = endpoint_rates_[h].rate_max;
  }
  return stats;
}

}  // namespace ringway::dp
