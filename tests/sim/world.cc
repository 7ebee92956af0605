// See world.h. First how a run is set up, then what happens in it.
#include "tests/sim/world.h"

#include <algorithm>
#include <string>

namespace ringway::sim {
namespace {

constexpr uint64_t kRunUsMax = 9000 * uint64_t{1000000};

uint64_t HangUs(const std::vector<dp::ServiceEntry>& services, const dp::ListenerEntry& listener) {
  uint64_t ms = listener.head_timeout_ms + listener.client_idle_timeout_ms + 15000;
  for (const dp::ServiceEntry& s : services) {
    const uint64_t wait_ms = std::max(s.queue_timeout_ms, s.hold_timeout_ms);
    ms = std::max<uint64_t>(ms, (s.connect_timeout_ms + wait_ms) * (s.retries_max + 3) + s.response_timeout_ms +
                                    s.idle_timeout_ms + s.tunnel_timeout_ms + listener.client_idle_timeout_ms);
  }
  return ms * 1000;
}

}  // namespace

// --- Set-up ---

Mood World::MoodOf(uint64_t seed, Random& random) {
  Mood mood;
  mood.calm = seed % 4 == 0;
  mood.endpoint_idle_closes = seed % 8 == 0;
  mood.crumbs = seed % 32 == 7;
  if (random.Percent(15)) mood.hints_percent = 60;
  if (random.Percent(40)) mood.late_percent = 90;
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
  o.many_ends_percent = random.Percent(30) ? 30 : 0;
  o.no_buffers_per_mille = random.Percent(40) ? static_cast<uint32_t>(random.Below(50)) : 0;
  o.buffers_small = 256;
  o.buffers_large = static_cast<uint32_t>(random.Skewed(1, 16));
  o.pipes_max = random.Percent(70) ? static_cast<uint32_t>(random.Skewed(1, 16)) : 0;
  o.pipe_bytes = static_cast<uint32_t>(random.Skewed(1, 16)) * 16384;
  if (random.Percent(20)) o.splice_refused_at_us = 1000000 + random.Below(3000000);
  o.no_pipe_percent = random.Percent(20) ? static_cast<uint32_t>(random.Between(1, 100)) : 0;
  o.crumbs = mood.crumbs;
  if (mood.calm) return o;
  o.buffers_small = static_cast<uint32_t>(random.Percent(50) ? random.Between(3, 24) : 256);
  o.files_max = static_cast<uint32_t>(random.Percent(20) ? random.Between(6, 30) : 1000);
  o.accept_error_per_mille = random.Percent(30) ? 100 : 0;
  o.connect_error_percent = random.Percent(30) ? static_cast<uint32_t>(random.Below(40)) : 0;
  o.jump_per_mille = random.Percent(15) ? 3 : 0;
  if (mood.crumbs) o.buffers_small = 1024;
  o.stuck_per_mille = random.Percent(15) ? static_cast<uint32_t>(random.Between(1, 100)) : 0;
  return o;
}

World::World(uint64_t seed, Trace& trace) : trace_(trace), network_(seed, trace) {
  Random& random = network_.random;
  ledger_.mood = MoodOf(seed, random);
  network_.narrow_percent = random.Percent(15) ? 60 : 5;
  io_options_ = IoOptions(ledger_.mood, random);
  ledger_.buffers_short = io_options_.buffers_small < 256;
  MakeServices();
  std::vector<dp::ServiceEntry> settings;
  for (const Service& s : services_) settings.push_back(s.settings);
  MakeListeners();
  io_options_.hang_us = HangUs(settings, listeners_[0].entry);
  limits_.sessions_max = ledger_.mood.calm ? 64 : static_cast<uint32_t>(random.Percent(30) ? random.Between(1, 8) : 64);
  limits_.upstreams_max = ledger_.mood.calm ? 48 : static_cast<uint32_t>(random.Percent(30) ? random.Between(1, 8) : 64);
  if (random.Percent(40)) limits_.files_max = static_cast<uint32_t>(random.Between(4, 80));
  limits_.splice = random.Percent(85);
  limits_.retry_burst = static_cast<uint32_t>(random.Percent(50) ? random.Below(6) : 256);
  StartProcess();
  for (Listener& l : listeners_) {
    l.present = &l == &listeners_[0] || random.Percent(80);
    if (l.present) processes_[0]->listener_fds[l.entry.handle] = processes_[0]->io().OpenListener(l.entry.address);
  }
  trace_.Say("seed %llu: %s, %u small buffers, %u sessions, %u upstreams", static_cast<unsigned long long>(seed),
             ledger_.mood.calm ? "calm" : "wild", io_options_.buffers_small, limits_.sessions_max, limits_.upstreams_max);
  for (uint32_t s = 0; s < services_.size(); ++s) {
    const uint64_t count = random.Between(ledger_.mood.calm || random.Percent(90) ? 1 : 0, 4);
    for (uint64_t i = 0; i < count; ++i) AddEndpoint(s);
  }
  Publish();
  MakeClients();
  changes_left_ = random.Percent(70) ? static_cast<uint32_t>(random.Between(1, 12)) : 0;
  upgrades_left_ = random.Percent(30) ? static_cast<uint32_t>(random.Between(1, 3)) : 0;
  upgrade_us_ = network_.now_us + random.Skewed(1000, 4000000);
  network_.After(random.Between(1, 200000), this);
}

void World::StartProcess() {
  limits_.seed = network_.random.Next();
  const auto ready = [this](const dp::IpAddress& to, uint64_t version) {
    const std::vector<uint32_t>& numbers = ready_at_[version];
    return std::any_of(numbers.begin(), numbers.end(), [&](uint32_t number) { return endpoints_[number]->address == to; });
  };
  processes_.push_back(std::make_unique<Process>(network_, ledger_.mood, io_options_, limits_, ready));
  processes_.back()->listener_fds.assign(16, -1);
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
    s.balance = static_cast<dp::Balance>(random.Below(4));
    s.connect_timeout_ms = static_cast<uint32_t>(random.Between(100, 3000));
    // Calm endpoints and clients take their time, but less than this.
    s.response_timeout_ms = static_cast<uint32_t>(ledger_.mood.calm ? 30000 : random.Between(500, 30000));
    s.idle_timeout_ms = static_cast<uint32_t>(ledger_.mood.calm ? 30000 : random.Between(500, 30000));
    s.tunnel_timeout_ms = static_cast<uint32_t>(ledger_.mood.calm ? 60000 : random.Between(1000, 60000));
    s.upstream_idle_timeout_ms = static_cast<uint32_t>(random.Between(10, 3000));
    s.upstreams_idle_max = static_cast<uint32_t>(random.Skewed(0, 16));
    s.retries_max = static_cast<uint32_t>(ledger_.mood.calm ? 2 : random.Below(4));
    MakeLimits(s);
    ledger_.response_timeout_ms = std::min({ledger_.response_timeout_ms, s.response_timeout_ms, s.idle_timeout_ms});
    services_.push_back(std::move(service));
  }
}

// Calm clients wait as long as it takes.
void World::MakeLimits(dp::ServiceEntry& s) {
  Random& random = network_.random;
  const bool calm = ledger_.mood.calm;
  static constexpr uint32_t kPercents[] = {0, 20, 100};
  s.retry_percent = kPercents[random.Below(3)];
  s.retry_per_second_min = static_cast<uint32_t>(random.Percent(50) ? random.Below(3) : 10);
  s.failures_max = static_cast<uint32_t>(random.Below(5));
  s.responses_5xx_max = static_cast<uint32_t>(random.Percent(40) ? random.Between(1, 3) : 0);
  s.eject_ms = static_cast<uint32_t>(random.Skewed(10, 3000));
  s.eject_max_ms = s.eject_ms * static_cast<uint32_t>(random.Between(1, 10));
  s.ejections_max = static_cast<uint32_t>(random.Below(4));
  s.slow_start_ms = static_cast<uint32_t>(random.Percent(40) ? random.Between(50, 5000) : 0);
  s.in_flight_max = static_cast<uint32_t>(random.Percent(50) ? random.Between(1, 3) : 0);
  s.queue_max = static_cast<uint32_t>(calm ? 64 : random.Percent(20) ? 0 : random.Between(1, 32));
  s.queue_timeout_ms = static_cast<uint32_t>(calm ? 300000 : random.Between(1, 5000));
  s.hold_max = s.queue_max;
  s.hold_timeout_ms = static_cast<uint32_t>(!random.Percent(60) ? 0 : calm ? 300000 : random.Between(1, 5000));
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
    l.entry.access_log = i < 2;
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
      target.holds.push_back(services_[s].settings.hold_timeout_ms > 0);
    }
    clients_.push_back(std::make_unique<Client>(network_, ledger_, i, target));
    network_.After(random.Skewed(100, random.Percent(50) ? 20000 : 4000000), clients_.back().get());
  }
}

// --- Endpoints and maps ---

bool World::HandleQuiet(uint32_t handle) const {
  return std::all_of(processes_.begin(), processes_.end(), [&](const auto& p) { return p->Quiet(handle); });
}

uint64_t World::MapVersion() const {
  uint64_t version = version_;
  for (const auto& p : processes_) {
    if (p->running()) version = std::min(version, p->MapVersion());
  }
  return version;
}

bool World::Running() const { return Alive() > 0; }

uint32_t World::Alive() const {
  return static_cast<uint32_t>(std::count_if(processes_.begin(), processes_.end(), [](const auto& p) { return p->running(); }));
}

Known World::KnownHandles() const {
  Known known;
  for (const Listener& l : listeners_) known.listeners.push_back(l.entry.handle);
  for (const Service& s : services_) known.services.push_back(s.settings.handle);
  known.endpoints = static_cast<uint32_t>(handle_left_.size());
  return known;
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
  ++version_;
  std::vector<uint32_t>& ready = ready_at_[version_];
  for (uint32_t i = 0; i < services_.size(); ++i) {
    Service& service = services_[i];
    const uint32_t handle = service.settings.handle;
    if (!service.present) {
      entries_.erase(handle);
      continue;
    }
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
    // What did not change is shared between maps.
    const auto before = entries_.find(handle);
    const bool same = before != entries_.end() && service.changed != version_ &&
                      std::equal(before->second->ready.begin(), before->second->ready.end(), entry->ready.begin(), entry->ready.end(),
                                 [](const auto& a, const auto& b) { return a.handle == b.handle && a.address == b.address; });
    if (!same) entries_[handle] = std::move(entry);
  }
  trace_.Say("map %llu published with %zu endpoints", static_cast<unsigned long long>(version_), ready.size());
  ++ledger_.totals.maps;
  for (auto& p : processes_) {
    if (p->running()) p->Publish(MakeMap(*p));
  }
}

std::unique_ptr<dp::BackendMap> World::MakeMap(const Process& process) {
  auto map = std::make_unique<dp::BackendMap>();
  map->version = version_;
  for (const auto& [handle, entry] : entries_) {
    if (map->services.size() <= handle) map->services.resize(handle + 1);
    map->services[handle] = entry;
  }
  map->listeners.resize(16);
  for (const Listener& l : listeners_) {
    if (!l.present) continue;
    auto entry = std::make_shared<dp::ListenerEntry>(l.entry);
    entry->sockets = {process.listener_fds[l.entry.handle]};
    map->listeners[l.entry.handle] = std::move(entry);
  }
  return map;
}

bool World::Ready(uint64_t map_version, uint32_t endpoint) const {
  const auto found = ready_at_.find(map_version);
  return found != ready_at_.end() && std::find(found->second.begin(), found->second.end(), endpoint) != found->second.end();
}

// --- Changes while requests are under way ---

void World::Wake() {
  Refill();
  if (stopped_ || changes_left_ == 0) return;
  --changes_left_;
  Change();
  network_.After(network_.random.Skewed(100, 1000000), this);
}

void World::Change() {
  Random& random = network_.random;
  const auto service = static_cast<uint32_t>(random.Below(services_.size()));
  const uint64_t kind = random.Below(16);
  if (kind < 4) {
    AddEndpoint(service);
  } else if (kind < 8) {
    ReplaceEndpoint();
  } else if (kind < 10) {
    ReplaceAll(service, random.Between(1, 4));
  } else if (kind == 10) {
    const bool lossless = services_[service].settings.hold_timeout_ms > 0;
    if (!ledger_.mood.calm || lossless) ReplaceAll(service, 0);
  } else if (kind < 13) {
    Return();
  } else if (kind == 13) {
    services_[service].settings.in_flight_max = static_cast<uint32_t>(random.Below(4));
    services_[service].changed = version_ + 1;
  } else if (ledger_.mood.calm) {
    AddEndpoint(service);
  } else if (kind == 14) {
    ChangeListener();
  } else {
    services_[service].present = !services_[service].present;
    for (auto& p : processes_) p->io().AllowDefaults();
  }
  Publish();
  if (random.Percent(10)) Publish();  // the worker may never see the one before
}

void World::Leaves(uint32_t number) {
  trace_.Say("endpoint %u leaves", number);
  std::erase(members_, number);
  handle_left_[endpoints_[number]->handle] = version_ + 1;
}

// One leaves; perhaps it dies, perhaps another instance takes its address.
void World::ReplaceEndpoint() {
  if (members_.empty()) return;
  Random& random = network_.random;
  Endpoint& leaving = *endpoints_[members_[random.Below(members_.size())]];
  size_t of_service = 0;
  for (const uint32_t number : members_) of_service += endpoints_[number]->service == leaving.service ? 1 : 0;
  if (ledger_.mood.calm && of_service < 2) return;
  Leaves(leaving.number);
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

// All instances of a service for others, in one map. None: the pool stays empty for a while.
void World::ReplaceAll(uint32_t service, uint64_t count) {
  Random& random = network_.random;
  const std::vector<uint32_t> before = members_;
  for (const uint32_t number : before) {
    if (endpoints_[number]->service != service) continue;
    Leaves(number);
    if (!ledger_.mood.calm && random.Percent(50)) endpoints_[number]->Stop(random.Percent(70));
  }
  for (uint64_t i = 0; i < count; ++i) AddEndpoint(service);
  if (count > 0) return;
  services_[service].refill_us = network_.now_us + random.Skewed(1, 3000000);
  network_.At(services_[service].refill_us, this);
}

void World::Refill() {
  bool any = false;
  for (uint32_t i = 0; i < services_.size(); ++i) {
    if (services_[i].refill_us == 0 || services_[i].refill_us > network_.now_us) continue;
    services_[i].refill_us = 0;
    for (uint64_t count = network_.random.Between(1, 3); count > 0; --count) AddEndpoint(i);
    any = true;
  }
  if (any && Running()) Publish();
}

// One that drains is wanted again: the same instance under the same handle.
void World::Return() {
  std::vector<uint32_t> candidates;
  for (const auto& e : endpoints_) {
    const bool later = std::any_of(endpoints_.begin() + e->number + 1, endpoints_.end(),
                                   [&](const auto& other) { return other->handle == e->handle; });
    if (!e->stopped && !later && handle_left_[e->handle] != 0) candidates.push_back(e->number);
  }
  if (candidates.empty()) return;
  const uint32_t number = candidates[network_.random.Below(candidates.size())];
  trace_.Say("endpoint %u returns", number);
  handle_left_[endpoints_[number]->handle] = 0;
  members_.push_back(number);
}

void World::ChangeListener() {
  Listener& l = listeners_[network_.random.Below(listeners_.size())];
  if (Alive() != 1 || processes_.back()->leaving()) return;
  if (l.present) {
    // feed/ waits for one map before it makes the next; what a worker never saw it closes itself.
    if (MapVersion() != version_) return;
    l.present = false;
    ledger_.listener_left = true;
    return;
  }
  const dp::ListenerCounters& c = processes_.back()->counters().listeners[l.entry.handle];
  // Its sockets are closed by the worker when it adopts the map without it.
  if (c.sessions_open.Get() != 0 || MapVersion() != version_) return;
  l.present = true;
  processes_.back()->listener_fds[l.entry.handle] = processes_.back()->io().OpenListener(l.entry.address);
}

// Those that left and serve nothing any more stop, as a drained container does.
void World::EndLeft() {
  for (auto& e : endpoints_) {
    if (e->stopped || e->handle >= handle_left_.size()) continue;
    if (std::find(members_.begin(), members_.end(), e->number) != members_.end()) continue;
    const uint64_t left = handle_left_[e->handle];
    for (const auto& p : processes_) {
      if (left == 0 || !p->running() || left > p->MapVersion()) continue;
      if (p->counters().endpoints[e->handle].upstreams_idle.Get() != 0) {
        Fail("endpoint %u has left, and connections to it are still pooled", e->number);
      }
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
  for (auto& p : processes_) p->Stop(timeout_ms);
  stop_by_us_ = network_.now_us + uint64_t{timeout_ms} * 1000 + 3000000;
}

// A successor takes the listening sockets; the one before it goes on accepting for a moment, then leaves.
void World::Upgrade() {
  Random& random = network_.random;
  if (leave_us_ != 0) {
    if (network_.now_us < leave_us_) return;
    leave_us_ = 0;
    trace_.Say("dataplane %zu leaves", processes_.size() - 2);
    processes_[processes_.size() - 2]->Leave();
    return;
  }
  Process& before = *processes_.back();
  // It must have taken all listeners that it was given.
  if (upgrades_left_ == 0 || network_.now_us < upgrade_us_ || before.MapVersion() != version_) return;
  --upgrades_left_;
  StartProcess();
  Process& successor = *processes_.back();
  trace_.Say("dataplane %zu takes over", processes_.size() - 1);
  for (const Listener& l : listeners_) {
    const uint32_t h = l.entry.handle;
    if (l.present) successor.listener_fds[h] = successor.io().TakeListener(before.io(), before.listener_fds[h]);
  }
  successor.Publish(MakeMap(successor));
  leave_us_ = network_.now_us + random.Skewed(1, 100000);
  upgrade_us_ = leave_us_ + random.Skewed(1000, 2000000);
}

void World::Step() {
  const uint32_t alive = Alive();
  for (auto& p : processes_) {
    if (!p->running()) continue;
    p->io().LimitWait(alive > 1 ? 5000 : ~uint64_t{0});
    const Known known = KnownHandles();
    p->Step(known);
    if (p->running()) continue;
    p->CheckEnd(known, ledger_.listener_left);
    p->AddTo(ledger_.totals, known);
    ledger_.totals.faults += p->io().totals().faults;
    ledger_.totals.spliced += p->io().totals().spliced;
    ledger_.totals.received_now += p->io().totals().received_now;
  }
  EndLeft();
}

void World::Run() {
  Random& random = network_.random;
  const uint64_t begin = network_.now_us;
  const uint64_t early_stop = ledger_.mood.calm || random.Percent(70) ? ~uint64_t{0} : begin + random.Between(1000, 5000000);
  for (uint64_t steps = 0; Running(); ++steps) {
    Step();
    if (!stopped_) Upgrade();
    if (!stopped_ && ClientsDone()) BeginStop(30000);
    if (!stopped_ && network_.now_us >= early_stop) BeginStop(static_cast<uint32_t>(random.Skewed(0, 20000)));
    if (stopped_ && Running() && network_.now_us > stop_by_us_) {
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
}

}  // namespace ringway::sim
