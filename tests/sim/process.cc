// See process.h. What is judged after each turn, then what at the end.
#include "tests/sim/process.h"

#include <algorithm>

namespace ringway::sim {

Process::Process(Network& network, const Mood& mood, const SimIoOptions& options, const dp::WorkerLimits& limits,
                 IsReady is_ready)
    : network_(network), mood_(mood), limits_(limits), is_ready_(std::move(is_ready)), io_(network, *this, options),
      shared_(std::make_unique<dp::WorkerShared>()), access_(*shared_, limits), worker_(io_, *shared_, 0, limits), begin_us_(network.now_us) {}

void Process::OnConnecting(const dp::IpAddress& to) {
  if (is_ready_(to, MapVersion())) return;
  Fail("a connection is opened to an endpoint that map %llu does not have", static_cast<unsigned long long>(MapVersion()));
}

void Process::Publish(std::unique_ptr<dp::BackendMap> map) {
  dp::BackendMap* raw = map.get();
  access_.Know(*map);
  last_version_ = map->version;
  maps_[map->version] = std::move(map);
  shared_->next_map.store(raw, std::memory_order_release);
}

bool Process::Quiet(uint32_t endpoint) const {
  const dp::EndpointCounters& c = counters().endpoints[endpoint];
  return c.exchanges_in_flight.Get() == 0 && c.upstreams_open.Get() == 0 && c.upstreams_idle.Get() == 0;
}

void Process::Stop(uint32_t timeout_ms) {
  shared_->stop_timeout_ms.store(timeout_ms);
  shared_->stop.store(true);
}

// --- After each turn ---

void Process::Step(const Known& known) {
  const uint64_t version = MapVersion();
  running_ = worker_.Step();
  while (!maps_.empty() && maps_.begin()->first < MapVersion()) maps_.erase(maps_.begin());
  access_.Read();
  if (leaving() && io_.left_us == 0) io_.left_us = network_.now_us;
  if (counters().worker.unexpected_total.Get() != io_.totals().stuck) Fail("an operation ended in a way no handler foresees");
  seen_.resize(known.endpoints);
  for (const uint32_t handle : known.services) {
    const dp::ServiceEntry* entry = Entry(handle);
    if (entry == nullptr) continue;
    settings_[handle] = *entry;
    if (version == MapVersion()) JudgeEndpoints(*entry);
    if (version != MapVersion() || !mood_.calm) continue;
    JudgeEjected(*entry);
    JudgeOrder(*entry);
  }
  for (uint32_t h = 0; h < known.endpoints; ++h) {
    const dp::EndpointCounters& c = counters().endpoints[h];
    seen_[h] = {c.exchanges_total.Get(), c.ejections_total.Get(), c.ejected_until_us.Get()};
  }
  for (const uint32_t handle : known.services) retries_[handle] = counters().services[handle].retries_total.Get();
  JudgeWaiting(known);
}

const dp::ServiceEntry* Process::Entry(uint32_t service) const {
  const auto found = maps_.find(MapVersion());
  if (found == maps_.end() || service >= found->second->services.size()) return nullptr;
  return found->second->services[service].get();
}

// Never more in flight than may be, never more ejected than may be.
void Process::JudgeEndpoints(const dp::ServiceEntry& service) {
  uint32_t out = 0;
  bool ejected = false;
  for (const dp::EndpointEntry& e : service.ready) {
    const dp::EndpointCounters& c = counters().endpoints[e.handle];
    out += c.ejected_until_us.Get() > io_.NowUs() ? 1 : 0;
    ejected = ejected || c.ejections_total.Get() != seen_[e.handle].ejections;
    const bool bound = c.exchanges_total.Get() != seen_[e.handle].exchanges;
    if (bound && service.in_flight_max != 0 && c.exchanges_in_flight.Get() > service.in_flight_max) {
      Fail("endpoint handle %u has %llu exchanges in flight, %u may be", e.handle,
           static_cast<unsigned long long>(c.exchanges_in_flight.Get()), service.in_flight_max);
    }
  }
  if (ejected && (out > service.ejections_max || service.failures_max == 0)) {
    Fail("%u endpoints of %s are ejected, %u may be", out, service.name.c_str(), service.ejections_max);
  }
}

// Where nobody fails to connect, one that is ejected gets nothing while another one that never was has room for all.
void Process::JudgeEjected(const dp::ServiceEntry& service) const {
  const dp::ServiceCounters& of_service = counters().services[service.handle];
  const auto before = retries_.find(service.handle);
  if (service.in_flight_max != 0 || of_service.ejections_denied_total.Get() != 0 || before == retries_.end() ||
      of_service.retries_total.Get() != before->second) {
    return;
  }
  const bool other = std::any_of(service.ready.begin(), service.ready.end(), [&](const dp::EndpointEntry& e) {
    return counters().endpoints[e.handle].ejected_until_us.Get() == 0;
  });
  for (const dp::EndpointEntry& e : service.ready) {
    const Seen& seen = seen_[e.handle];
    const bool out = seen.ejected_until_us > io_.NowUs();
    if (other && out && counters().endpoints[e.handle].exchanges_total.Get() != seen.exchanges) {
      Fail("endpoint handle %u is ejected, and was chosen", e.handle);
    }
  }
}

// Where some wait for room, whoever comes waits too: they are let in at the end of a turn only.
void Process::JudgeOrder(const dp::ServiceEntry& service) const {
  const dp::ServiceCounters& c = counters().services[service.handle];
  const auto found = watched_.find(service.handle);
  if (found == watched_.end() || found->second.waiting == 0 || service.ready.empty()) return;
  const Watched& before = found->second;
  if (c.client_aborts_total.Get() != before.aborts_total) return;
  const uint64_t refused = c.wait_full_total.Get() - before.full_total;
  if (c.requests_total.Get() - before.requests_total > c.waited_total.Get() - before.waited_total + refused) {
    Fail("a request of %s overtook those that wait", service.name.c_str());
  }
}

void Process::JudgeWaiting(const Known& known) {
  for (const uint32_t handle : known.services) {
    const dp::ServiceCounters& c = counters().services[handle];
    const uint64_t waiting = c.waiting.Get();
    Watched& watched = watched_[handle];
    if (waiting == 0 || c.waited_total.Get() != watched.waited_total) {
      watched.waited_total = c.waited_total.Get();
      watched.since_us = network_.SteadyUs();
      watched.late_turns = 0;
    }
    watched.waiting = waiting;
    watched.full_total = c.wait_full_total.Get();
    watched.requests_total = c.requests_total.Get();
    watched.aborts_total = c.client_aborts_total.Get();
    if (waiting == 0) continue;
    if (shared_->stop.load()) Fail("%llu requests wait after the stop", static_cast<unsigned long long>(waiting));
    const dp::ServiceEntry* entry = Entry(handle);
    if (entry == nullptr) Fail("%llu requests wait for a service that is not there", static_cast<unsigned long long>(waiting));
    if (entry->ready.empty() && entry->hold_timeout_ms == 0) Fail("requests wait for an endpoint where none is to be waited for");
    if (waiting > std::max(entry->queue_max, entry->hold_max)) Fail("more requests wait than may");
    const uint64_t longest_us = std::max(entry->queue_timeout_ms, entry->hold_timeout_ms) * uint64_t{1000} + 500000;
    if (network_.SteadyUs() > watched.since_us + longest_us && ++watched.late_turns > 100) Fail("a request waits beyond its time");
    if (mood_.calm) JudgeRoom(*entry);
  }
}

// Where nobody fails, nobody waits while there is room. That an ejection is over, or a second's rest instead of one, is seen a few
// times a second.
void Process::JudgeRoom(const dp::ServiceEntry& service) {
  Watched& watched = watched_[service.handle];
  const uint64_t denied = counters().services[service.handle].ejections_denied_total.Get();
  if (denied != watched.denied_total) watched.denied_us = io_.NowUs();
  watched.denied_total = denied;
  if (denied > 0 && io_.NowUs() < watched.denied_us + 1300000) return;
  for (const dp::EndpointEntry& e : service.ready) {
    const dp::EndpointCounters& c = counters().endpoints[e.handle];
    const bool room = service.in_flight_max == 0 || c.exchanges_in_flight.Get() < service.in_flight_max;
    const uint64_t ejected_until_us = c.ejected_until_us.Get();
    if (room && (ejected_until_us == 0 || ejected_until_us + 300000 <= io_.NowUs())) Fail("requests wait though endpoint handle %u has room", e.handle);
  }
}

// --- The end ---

void Process::CheckEnd(const Known& known, bool listener_left) {
  if (worker_.sessions() != 0) Fail("%u sessions are left", worker_.sessions());
  if (worker_.exchanges() != 0) Fail("%u exchanges are left", worker_.exchanges());
  if (worker_.upstreams() != 0) Fail("%u upstreams are left", worker_.upstreams());
  if (worker_.timers() != 0) Fail("%u timers are left", worker_.timers());
  io_.CheckNothingLeft(MapVersion() == last_version_);
  io_.Flush();
  CheckCounters(known);
  CheckRetries(known);
  access_.CheckEnd(listener_left);
}

void Process::AddTo(Totals& totals, const Known& known) const {
  totals.ejections += counters().worker.ejections_total.Get();
  totals.upgrades += leaving() ? 1 : 0;
  totals.logged += access_.records();
  totals.log_dropped += counters().worker.access_dropped_total.Get();
  totals.splice_refused += io_.totals().splice_refused;
  totals.stuck += io_.totals().stuck;
  totals.bulk_refused += counters().worker.limits_total[static_cast<size_t>(dp::Limit::kBuffersLarge)].Get();
  for (const uint32_t handle : known.services) {
    const dp::ServiceCounters& c = counters().services[handle];
    totals.waited += c.waited_total.Get();
    totals.wait_timeouts += c.wait_timeouts_total.Get();
    totals.wait_full += c.wait_full_total.Get();
    totals.ejections_denied += c.ejections_denied_total.Get();
    totals.retries += c.retries_total.Get();
    totals.retries_pooled += c.retries_pooled_total.Get();
    totals.retries_denied += c.retries_denied_total.Get();
  }
}

// What was paid for is within what was earned.
void Process::CheckRetries(const Known& known) const {
  const uint64_t elapsed_us = network_.now_us - begin_us_;
  for (const uint32_t handle : known.services) {
    const auto found = settings_.find(handle);
    if (found == settings_.end()) continue;
    const dp::ServiceEntry& s = found->second;
    const dp::ServiceCounters& c = counters().services[handle];
    const uint64_t paid = c.retries_total.Get() - c.retries_pooled_total.Get();
    uint64_t most = std::max<uint64_t>(limits_.retry_burst, s.retry_per_second_min) +
                    c.requests_total.Get() * s.retry_percent / 100 + s.retry_per_second_min * elapsed_us / 1000000 + 1;
    if (s.retry_percent == 0 && s.retry_per_second_min == 0) most = 0;
    if (paid > most) {
      Fail("service %s: %llu retries, %llu may be", s.name.c_str(), static_cast<unsigned long long>(paid),
           static_cast<unsigned long long>(most));
    }
    if (c.wait_timeouts_total.Get() > c.waited_total.Get()) Fail("more requests stopped waiting than began");
  }
}

void Process::CheckCounters(const Known& known) const {
  const dp::CounterTable& t = counters();
  const auto zero = [](const dp::Counter& c, const char* name) {
    if (c.Get() != 0) Fail("gauge %s is %lld at the end", name, static_cast<long long>(c.Get()));
  };
  const auto same = [](uint64_t a, uint64_t b, const char* what) {
    if (a != b) Fail("%s: counted %llu, but there were %llu", what, static_cast<unsigned long long>(a), static_cast<unsigned long long>(b));
  };
  zero(t.worker.sessions_open, "sessions_open");
  zero(t.worker.exchanges_open, "exchanges_open");
  zero(t.worker.upstreams_open, "upstreams_open");
  zero(t.worker.buffers_small_used, "buffers_small_used");
  zero(t.worker.buffers_large_used, "buffers_large_used");
  zero(t.worker.pipes_used, "pipes_used");
  const bool told = shared_->bulk.load() == dp::BulkBy::kCopySpliceRefused;
  if (told != (io_.totals().splice_refused > 0)) Fail("splice was refused, and it is not told, or the other way round");
  if (t.worker.limits_total[static_cast<size_t>(dp::Limit::kFiles)].Get() < io_.totals().no_pipe) Fail("a pipe that no descriptor was free for is not counted");
  uint64_t in = 0, out = 0, sent = 0, received = 0, connects = 0, bound = 0;
  uint64_t to_clients = 0, refused = 0;
  for (const uint32_t listener : known.listeners) {
    const dp::ListenerCounters& c = t.listeners[listener];
    zero(c.sessions_open, "listener.sessions_open");
    in += c.bytes_received_total.Get();
    out += c.bytes_sent_total.Get();
    for (size_t kind = 2; kind < 6; ++kind) to_clients += c.responses_total[kind].Get();
    for (const dp::Counter& refusal : c.refused_total) refused += refusal.Get();
  }
  for (uint32_t h = 0; h < known.endpoints; ++h) {
    const dp::EndpointCounters& c = t.endpoints[h];
    zero(c.exchanges_in_flight, "endpoint.exchanges_in_flight");
    zero(c.upstreams_open, "endpoint.upstreams_open");
    zero(c.upstreams_idle, "endpoint.upstreams_idle");
    sent += c.bytes_sent_total.Get();
    received += c.bytes_received_total.Get();
    connects += c.connects_total.Get();
    bound += c.exchanges_total.Get();
    same(c.exchanges_total.Get(), c.connects_total.Get() + c.reuses_total.Get(), "exchanges of an endpoint");
  }
  uint64_t requests = 0, answers = 0, retries = 0, gone = 0;
  for (const uint32_t service : known.services) {
    const dp::ServiceCounters& c = t.services[service];
    zero(c.exchanges_in_flight, "service.exchanges_in_flight");
    zero(c.waiting, "service.waiting");
    requests += c.requests_total.Get();
    retries += c.retries_total.Get();
    gone += c.client_aborts_total.Get();
    uint64_t of_service = 0, timed = 0;
    for (size_t kind = 2; kind < 6; ++kind) of_service += c.responses_total[kind].Get();
    for (const dp::Counter& bucket : c.response_time.buckets) timed += bucket.Get();
    if (of_service > c.requests_total.Get()) Fail("service %u: more responses than requests", service);
    same(timed, of_service, "response times");
    answers += of_service;
  }
  // Every response belongs to a service, or is a refusal.
  if (answers > to_clients || to_clients > answers + refused) Fail("responses of services and listeners differ");
  same(connects, io_.totals().connects, "connects");
  if (bound > requests + retries) Fail("more exchanges were bound than requests and retries there were");
  // One that half-closes while it waits is taken for gone.
  if (mood_.calm && bound + gone < requests + retries) Fail("exchanges were not bound");
  // What was cancelled in time to be seen by nobody is not counted by the worker.
  if (in > io_.totals().client_in || received > io_.totals().upstream_in) Fail("more bytes are counted than came");
  if (out > io_.totals().client_out || sent > io_.totals().upstream_out) Fail("more bytes are counted than went");
  if (!mood_.calm) return;
  same(out, io_.totals().client_out, "bytes to clients");
  same(sent, io_.totals().upstream_out, "bytes to endpoints");
}

}  // namespace ringway::sim
