// See world.h. First how a run is set up, then what happens in it, then what must be true at its end.
#include "tests/sim/world.h"

#include <algorithm>
#include <string>

namespace ringway::sim {
namespace {

constexpr uint64_t kRunUsMax = 9000 * uint64_t{1000000};

uint64_t HangUs(const std::vector<dp::ServiceEntry>& services, const dp::ListenerEntry& listener) {
  uint64_t ms = listener.head_timeout_ms + listener.client_idle_timeout_ms + 15000;
  for (const dp::ServiceEntry& s : services) {
    ms = std::max<uint64_t>(ms, s.connect_timeout_ms * (s.retries_max + 2) + s.response_timeout_ms + s.idle_timeout_ms +
                                    s.tunnel_timeout_ms + listener.client_idle_timeout_ms);
  }
  return ms * 1000;
}

}  // namespace

// --- Set-up ---

Mood World::MoodOf(uint64_t seed, Random& random) {
  Mood mood;
  mood.calm = seed % 4 == 0;
  mood.endpoint_idle_closes = seed % 8 == 0;
  if (random.Percent(15)) mood.hints_percent = 60;
  if (mood.calm) return mood;
  mood.client_faults_percent = random.Percent(70) ? random.Between(0, 60) : 0;
  mood.endpoint_faults_percent = random.Percent(70) ? random.Between(0, 40) : 0;
  return mood;
}

SimIoOptions World::IoOptions(const Mood& mood, Random& random) {
  SimIoOptions o;
  o.again_per_mille = random.Percent(50) ? static_cast<uint32_t>(random.Below(60)) : 0;
  o.short_percent = random.Percent(70) ? static_cast<uint32_t>(random.Below(80)) : 0;
  o.late_percent = random.Percent(50) ? static_cast<uint32_t>(random.Below(50)) : 0;
  o.partial_percent = random.Percent(50) ? static_cast<uint32_t>(random.Below(80)) : 0;
  o.accept_ends_percent = random.Percent(30) ? 30 : 0;
  o.no_buffers_per_mille = random.Percent(40) ? static_cast<uint32_t>(random.Below(50)) : 0;
  o.buffers_small = 128;
  o.buffers_large = static_cast<uint32_t>(random.Skewed(1, 16));
  if (mood.calm) return o;
  o.buffers_small = static_cast<uint32_t>(random.Percent(50) ? random.Between(3, 24) : 128);
  o.files_max = static_cast<uint32_t>(random.Percent(20) ? random.Between(6, 30) : 1000);
  o.accept_error_per_mille = random.Percent(30) ? 100 : 0;
  o.connect_error_percent = random.Percent(30) ? static_cast<uint32_t>(random.Below(40)) : 0;
  o.jump_per_mille = random.Percent(15) ? 3 : 0;
  return o;
}

World::World(uint64_t seed, Trace& trace) : trace_(trace), network_(seed, trace) {
  Random& random = network_.random;
  ledger_.mood = MoodOf(seed, random);
  network_.narrow_percent = random.Percent(15) ? 60 : 5;
  SimIoOptions options = IoOptions(ledger_.mood, random);
  ledger_.buffers_short = options.buffers_small < 128;
  MakeServices();
  std::vector<dp::ServiceEntry> settings;
  for (const Service& s : services_) settings.push_back(s.settings);
  shared_ = std::make_unique<dp::WorkerShared>();
  MakeListeners();
  options.hang_us = HangUs(settings, listeners_[0].entry);
  io_ = std::make_unique<SimIo>(network_, *this, options);
  for (Listener& l : listeners_) {
    l.present = &l == &listeners_[0] || random.Percent(80);
    if (l.present) l.entry.sockets = {io_->OpenListener(l.entry.address)};
  }
  dp::WorkerLimits limits;
  limits.sessions_max = ledger_.mood.calm ? 64 : static_cast<uint32_t>(random.Percent(30) ? random.Between(1, 8) : 64);
  limits.upstreams_max = ledger_.mood.calm ? 48 : static_cast<uint32_t>(random.Percent(30) ? random.Between(1, 8) : 64);
  limits.seed = random.Next();
  worker_ = std::make_unique<dp::Worker<SimIo>>(*io_, *shared_, 0, limits);
  trace_.Say("seed %llu: %s, %u small buffers, %u sessions, %u upstreams", static_cast<unsigned long long>(seed),
             ledger_.mood.calm ? "calm" : "wild", options.buffers_small, limits.sessions_max, limits.upstreams_max);
  for (uint32_t s = 0; s < services_.size(); ++s) {
    const uint64_t count = random.Between(ledger_.mood.calm || random.Percent(90) ? 1 : 0, 4);
    for (uint64_t i = 0; i < count; ++i) AddEndpoint(s);
  }
  Publish();
  MakeClients();
  changes_left_ = random.Percent(70) ? static_cast<uint32_t>(random.Between(1, 12)) : 0;
  network_.After(random.Between(1, 200000), this);
}

void World::MakeServices() {
  Random& random = network_.random;
  const uint64_t count = random.Between(2, 4);
  ledger_.response_timeout_ms = ~0u;
  for (uint32_t i = 0; i < count; ++i) {
    Service service;
    service.tcp = i == 1;  // the others are HTTP
    dp::ServiceEntry& s = service.settings;
    s.handle = i * 7 + 3;
    s.name = "svc" + std::to_string(i);
    s.balance = static_cast<dp::Balance>(random.Below(3));
    s.connect_timeout_ms = static_cast<uint32_t>(random.Between(100, 3000));
    // Calm endpoints and clients take their time, but less than this.
    s.response_timeout_ms = static_cast<uint32_t>(ledger_.mood.calm ? 30000 : random.Between(500, 30000));
    s.idle_timeout_ms = static_cast<uint32_t>(ledger_.mood.calm ? 30000 : random.Between(500, 30000));
    s.tunnel_timeout_ms = static_cast<uint32_t>(ledger_.mood.calm ? 60000 : random.Between(1000, 60000));
    s.upstream_idle_timeout_ms = static_cast<uint32_t>(random.Between(10, 3000));
    s.upstreams_idle_max = static_cast<uint32_t>(random.Skewed(0, 16));
    s.retries_max = static_cast<uint32_t>(ledger_.mood.calm ? 2 : random.Below(4));
    ledger_.response_timeout_ms = std::min({ledger_.response_timeout_ms, s.response_timeout_ms, s.idle_timeout_ms});
    services_.push_back(std::move(service));
  }
}

void World::MakeListeners() {
  Random& random = network_.random;
  for (uint32_t i = 0; i < 3; ++i) {
    Listener l;
    l.entry.handle = i * 5;
    l.entry.name = "listener" + std::to_string(i);
    l.entry.protocol = i == 1 ? dp::Protocol::kTcp : dp::Protocol::kHttp;
    l.entry.address.bytes = {10, 0, 0, 1};
    l.entry.address.port = static_cast<uint16_t>(80 + i);
    l.entry.head_timeout_ms = static_cast<uint32_t>(ledger_.mood.calm ? 20000 : random.Between(500, 10000));
    l.entry.client_idle_timeout_ms = static_cast<uint32_t>(ledger_.mood.calm ? 20000 : random.Between(500, 20000));
    l.service = 1;
    l.trusted = i == 2;
    if (l.trusted) l.entry.trusted_proxies = {dp::IpBlock{}, dp::IpBlock{{{}, 0, true}, 0}};
    if (i == 1) {
      l.entry.routes.push_back({"", "", services_[1].settings.handle});
    } else {
      for (uint32_t s = 0; s < services_.size(); ++s) {  // odd ones by host, and these first
        if (s % 2 == 1 && !services_[s].tcp) l.entry.routes.push_back({"svc" + std::to_string(s) + ".test", "", services_[s].settings.handle});
      }
      for (uint32_t s = 0; s < services_.size(); ++s) {
        if (s % 2 == 0) l.entry.routes.push_back({"", "/s" + std::to_string(s), services_[s].settings.handle});
      }
    }
    listeners_.push_back(std::move(l));
  }
}

void World::MakeClients() {
  Random& random = network_.random;
  const uint64_t count = random.Between(1, 16);
  for (uint32_t i = 0; i < count; ++i) {
    std::vector<Listener*> present;
    for (Listener& l : listeners_) {
      if (l.present) present.push_back(&l);
    }
    const Listener& l = *present[random.Below(present.size())];
    ClientTarget target;
    target.listener = l.entry.address;
    target.tcp = l.entry.protocol == dp::Protocol::kTcp;
    target.trusted = l.trusted;
    target.service = l.service;
    target.head_timeout_ms = l.entry.head_timeout_ms;
    for (uint32_t s = 0; s < services_.size(); ++s) {
      if (!services_[s].tcp) target.services.push_back(s);
    }
    clients_.push_back(std::make_unique<Client>(network_, ledger_, i, target));
    network_.After(random.Skewed(100, random.Percent(50) ? 20000 : 4000000), clients_.back().get());
  }
}

// --- Endpoints and maps ---

bool World::HandleQuiet(uint32_t handle) const {
  const dp::EndpointCounters& c = shared_->counters.endpoints[handle];
  return c.exchanges_in_flight.Get() == 0 && c.upstreams_open.Get() == 0 && c.upstreams_idle.Get() == 0;
}

// As feed/ does: free again when the worker runs a map without it and nothing of it is left.
uint32_t World::TakeHandle() {
  for (uint32_t h = 0; h < handle_left_.size(); ++h) {
    if (handle_left_[h] == 0 || handle_left_[h] > MapVersion() || !HandleQuiet(h)) continue;
    handle_left_[h] = 0;
    return h;
  }
  handle_left_.push_back(0);
  return static_cast<uint32_t>(handle_left_.size() - 1);
}

Endpoint* World::AddEndpoint(uint32_t service) {
  dp::IpAddress address;
  address.bytes = {10, 2, 0, static_cast<uint8_t>(service)};
  address.port = static_cast<uint16_t>(next_address_++);
  auto endpoint = std::make_unique<Endpoint>(network_, ledger_, *this, static_cast<uint32_t>(endpoints_.size()), service,
                                             services_[service].tcp, address);
  endpoint->handle = TakeHandle();
  members_.push_back(endpoint->number);
  endpoints_.push_back(std::move(endpoint));
  return endpoints_.back().get();
}

void World::Publish() {
  auto map = std::make_unique<dp::BackendMap>();
  map->version = ++version_;
  const dp::BackendMap* last = published_.empty() ? nullptr : published_.rbegin()->second.map.get();
  std::vector<uint32_t> ready;
  for (uint32_t i = 0; i < services_.size(); ++i) {
    Service& service = services_[i];
    if (!service.present) continue;
    auto entry = std::make_shared<dp::ServiceEntry>(service.settings);
    bool equal = true;
    for (const uint32_t number : members_) {
      const Endpoint& e = *endpoints_[number];
      if (e.service != i) continue;
      entry->ready.push_back({e.handle, e.address, 1 + number % 3});
      equal = equal && entry->ready.back().weight == entry->ready.front().weight;
      ready.push_back(number);
    }
    for (uint32_t at = 0; !equal && at < entry->ready.size(); ++at) {
      for (uint32_t w = 0; w < entry->ready[at].weight; ++w) entry->schedule.push_back(at);
    }
    const uint32_t handle = service.settings.handle;
    if (map->services.size() <= handle) map->services.resize(handle + 1);
    // What did not change is shared between maps.
    const dp::ServiceEntry* before = last != nullptr && handle < last->services.size() ? last->services[handle].get() : nullptr;
    const bool same = before != nullptr && before->ready.size() == entry->ready.size() &&
                      std::equal(before->ready.begin(), before->ready.end(), entry->ready.begin(),
                                 [](const auto& a, const auto& b) { return a.handle == b.handle && a.address == b.address; });
    if (same) map->services[handle] = last->services[handle];
    else map->services[handle] = std::move(entry);
  }
  map->listeners.resize(16);
  for (const Listener& l : listeners_) {
    if (l.present) map->listeners[l.entry.handle] = std::make_shared<dp::ListenerEntry>(l.entry);
  }
  trace_.Say("map %llu published with %zu endpoints", static_cast<unsigned long long>(version_), ready.size());
  ++ledger_.totals.maps;
  ready_at_[version_] = ready;
  dp::BackendMap* raw = map.get();
  published_[version_] = {std::move(map), std::move(ready)};
  shared_->next_map.store(raw, std::memory_order_release);
}

// A map that the worker has passed is freed at once: whoever still refers to it is found.
void World::ForgetMaps() {
  while (!published_.empty() && published_.begin()->first < MapVersion()) published_.erase(published_.begin());
}

bool World::Ready(uint64_t map_version, uint32_t endpoint) const {
  const auto found = ready_at_.find(map_version);
  return found != ready_at_.end() && std::find(found->second.begin(), found->second.end(), endpoint) != found->second.end();
}

void World::OnConnecting(const dp::IpAddress& to) {
  for (const uint32_t number : ready_at_[MapVersion()]) {
    if (endpoints_[number]->address == to) return;
  }
  Fail("a connection is opened to an endpoint that map %llu does not have", static_cast<unsigned long long>(MapVersion()));
}

// --- Changes while requests are under way ---

void World::Wake() {
  if (stopped_ || changes_left_ == 0) return;
  --changes_left_;
  Change();
  network_.After(network_.random.Skewed(100, 1000000), this);
}

void World::Change() {
  Random& random = network_.random;
  const uint64_t kind = random.Below(10);
  if (kind < 4) {
    AddEndpoint(static_cast<uint32_t>(random.Below(services_.size())));
  } else if (kind < 8) {
    ReplaceEndpoint();
  } else if (ledger_.mood.calm) {
    AddEndpoint(static_cast<uint32_t>(random.Below(services_.size())));
  } else if (kind == 8) {
    ChangeListener();
  } else {
    Service& service = services_[random.Below(services_.size())];
    service.present = !service.present;
    io_->AllowDefaults();
  }
  Publish();
  if (random.Percent(10)) Publish();  // the worker may never see the one before
}

// One leaves; perhaps it dies, perhaps another instance takes its address.
void World::ReplaceEndpoint() {
  if (members_.empty()) return;
  Random& random = network_.random;
  const size_t at = random.Below(members_.size());
  Endpoint& leaving = *endpoints_[members_[at]];
  size_t of_service = 0;
  for (const uint32_t number : members_) of_service += endpoints_[number]->service == leaving.service ? 1 : 0;
  if (ledger_.mood.calm && of_service < 2) return;
  trace_.Say("endpoint %u leaves", leaving.number);
  members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(at));
  handle_left_[leaving.handle] = version_ + 1;
  if (ledger_.mood.calm || random.Percent(50)) return;  // drains
  leaving.Stop(random.Percent(70));
  if (random.Percent(50)) {
    auto again = std::make_unique<Endpoint>(network_, ledger_, *this, static_cast<uint32_t>(endpoints_.size()),
                                            leaving.service, leaving.tcp, leaving.address);
    again->handle = TakeHandle();
    members_.push_back(again->number);
    endpoints_.push_back(std::move(again));
  }
}

void World::ChangeListener() {
  Listener& l = listeners_[network_.random.Below(listeners_.size())];
  if (l.present) {
    // feed/ waits for one map before it makes the next; what a worker never saw it closes itself.
    if (MapVersion() != version_) return;
    l.present = false;
    ledger_.listener_left = true;
    l.entry.sockets.clear();
    return;
  }
  const dp::ListenerCounters& c = shared_->counters.listeners[l.entry.handle];
  // Its sockets are closed by the worker when it adopts the map without it.
  if (c.sessions_open.Get() != 0 || MapVersion() != version_) return;
  l.present = true;
  l.entry.sockets = {io_->OpenListener(l.entry.address)};
}

// Those that left and serve nothing any more stop, as a drained container does.
void World::EndLeft() {
  for (auto& e : endpoints_) {
    if (e->stopped || e->handle >= handle_left_.size()) continue;
    if (std::find(members_.begin(), members_.end(), e->number) != members_.end()) continue;
    const uint64_t left = handle_left_[e->handle];
    if (left != 0 && left <= MapVersion() && shared_->counters.endpoints[e->handle].upstreams_idle.Get() != 0) {
      Fail("endpoint %u has left, and connections to it are still pooled", e->number);
    }
    if (left != 0 && left <= MapVersion() && HandleQuiet(e->handle)) e->Stop(true);
  }
}

// --- The run ---

bool World::ClientsDone() const {
  return std::all_of(clients_.begin(), clients_.end(), [](const auto& c) { return c->done(); });
}

void World::BeginStop(uint32_t timeout_ms) {
  stopped_ = true;
  ledger_.stopping = true;
  trace_.Say("stop within %u ms", timeout_ms);
  shared_->stop_timeout_ms.store(timeout_ms);
  shared_->stop.store(true);
  stop_by_us_ = network_.now_us + uint64_t{timeout_ms} * 1000 + 3000000;
}

void World::Step() {
  running_ = worker_->Step();
  ForgetMaps();
  EndLeft();
  if (shared_->counters.worker.unexpected_total.Get() != 0) Fail("an operation ended in a way no handler foresees");
}

void World::Run() {
  Random& random = network_.random;
  const uint64_t begin = network_.now_us;
  const uint64_t early_stop = ledger_.mood.calm || random.Percent(70) ? ~uint64_t{0} : begin + random.Between(1000, 5000000);
  for (uint64_t steps = 0; running_; ++steps) {
    Step();
    if (!stopped_ && ClientsDone()) BeginStop(30000);
    if (!stopped_ && network_.now_us >= early_stop) BeginStop(static_cast<uint32_t>(random.Skewed(0, 20000)));
    if (stopped_ && running_ && network_.now_us > stop_by_us_) {
      // The clock may jump over any bound; a turn or two later it must be over.
      if (++late_steps_ > 200) Fail("the worker has not stopped within its time");
    }
    if (stopped_ && random.Percent(1) && maps_after_stop_ > 0) {
      --maps_after_stop_;
      Change();
    }
    if (steps > 2000000 || network_.now_us > begin + kRunUsMax + 400000000) {
      for (const auto& c : clients_) {
        if (!c->done()) Fail("does not end in %llu turns: %s", static_cast<unsigned long long>(steps), c->Describe().c_str());
      }
      Fail("does not end after %llu turns", static_cast<unsigned long long>(steps));
    }
  }
  CheckEnd();
}

// --- The end ---

void World::CheckEnd() {
  if (worker_->sessions() != 0) Fail("%u sessions are left", worker_->sessions());
  if (worker_->exchanges() != 0) Fail("%u exchanges are left", worker_->exchanges());
  if (worker_->upstreams() != 0) Fail("%u upstreams are left", worker_->upstreams());
  if (worker_->timers() != 0) Fail("%u timers are left", worker_->timers());
  io_->CheckNothingLeft(MapVersion() == version_);
  CheckCounters();
  ledger_.totals.faults += io_->totals().faults;
}

void World::CheckCounters() {
  const dp::CounterTable& t = shared_->counters;
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
  uint64_t in = 0, out = 0, sent = 0, received = 0, connects = 0, bound = 0;
  uint64_t to_clients = 0, refused = 0;
  for (const Listener& l : listeners_) {
    const dp::ListenerCounters& c = t.listeners[l.entry.handle];
    zero(c.sessions_open, "listener.sessions_open");
    in += c.bytes_received_total.Get();
    out += c.bytes_sent_total.Get();
    for (size_t kind = 2; kind < 6; ++kind) to_clients += c.responses_total[kind].Get();
    for (const dp::Counter& refusal : c.refused_total) refused += refusal.Get();
  }
  for (uint32_t h = 0; h < handle_left_.size(); ++h) {
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
  uint64_t requests = 0, answers = 0, retries = 0;
  for (const Service& s : services_) {
    const dp::ServiceCounters& c = t.services[s.settings.handle];
    zero(c.exchanges_in_flight, "service.exchanges_in_flight");
    requests += c.requests_total.Get();
    retries += c.retries_total.Get();
    uint64_t of_service = 0, timed = 0;
    for (size_t kind = 2; kind < 6; ++kind) of_service += c.responses_total[kind].Get();
    for (const dp::Counter& bucket : c.response_time.buckets) timed += bucket.Get();
    if (of_service > c.requests_total.Get()) Fail("service %s: more responses than requests", s.settings.name.c_str());
    same(timed, of_service, "response times");
    answers += of_service;
  }
  // Every response belongs to a service, or is a refusal.
  if (answers > to_clients || to_clients > answers + refused) Fail("responses of services and listeners differ");
  same(connects, io_->totals().connects, "connects");
  if (bound > requests + retries) Fail("more exchanges were bound than requests and retries there were");
  if (ledger_.mood.calm) same(bound, requests + retries, "exchanges bound");
  // What was cancelled in time to be seen by nobody is not counted by the worker.
  if (in > io_->totals().client_in || received > io_->totals().upstream_in) Fail("more bytes are counted than came");
  if (out > io_->totals().client_out || sent > io_->totals().upstream_out) Fail("more bytes are counted than went");
  if (!ledger_.mood.calm) return;
  same(out, io_->totals().client_out, "bytes to clients");
  same(sent, io_->totals().upstream_out, "bytes to endpoints");
}

}  // namespace ringway::sim
