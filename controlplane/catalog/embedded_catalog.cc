// Wires the parts of the embedded catalog together; see embedded_catalog.h.
#include "controlplane/catalog/embedded_catalog.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log/log.h"
#include "controlplane/catalog/fold.h"
#include "controlplane/catalog/probes.h"

namespace ringway::cp {
namespace {

constexpr char kWrittenKey[] = "written";  // touched when the store has taken a turn's changes
constexpr std::chrono::seconds kWriteRetry{1};

std::string HostName() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

std::string HostAddress() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return "127.0.0.1";
  std::string address = "127.0.0.1";
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    if ((entry->ifa_flags & IFF_LOOPBACK) != 0 || (entry->ifa_flags & IFF_UP) == 0) continue;
    char text[INET_ADDRSTRLEN] = {};
    const void* in = &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr;  // NOLINT: sockaddr's own idiom
    if (inet_ntop(AF_INET, in, text, sizeof text) != nullptr) {
      address = text;
      break;
    }
  }
  freeifaddrs(list);
  return address;
}

bool IsLiteral(const std::string& address) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, address.c_str(), bytes) == 1 || inet_pton(AF_INET6, address.c_str(), bytes) == 1;
}

InstanceHealth HealthOf(const CheckRecord& check) {
  if (check.status == kStatusPassing) return InstanceHealth::kPassing;
  if (check.status == kStatusWarning) return InstanceHealth::kWarning;
  return check.type == "maintenance" ? InstanceHealth::kMaintenance : InstanceHealth::kCritical;
}

// Output of the check, or its notes where it has none (maintenance keeps its reason there); first line.
std::string ReasonOf(const CheckRecord& check) {
  const std::string& text = !check.fresh_output.empty() ? check.fresh_output : !check.output.empty() ? check.output : check.notes;
  const std::string line = text.substr(0, text.find('\n'));
  return line.empty() ? absl::StrCat("check ", check.name, " is ", check.status) : line;
}

void Worsen(Instance& instance, const std::vector<const CheckRecord*>& checks) {
  for (const CheckRecord* check : checks) {
    if (HealthOf(*check) <= instance.health) continue;
    instance.health = HealthOf(*check);
    instance.reason = ReasonOf(*check);
  }
}

Instance MakeInstance(const Catalog::Node& node, const ServiceRecord& service, Catalog::ChecksByService& checks) {
  Instance instance;
  instance.id = absl::StrCat(node.record.name, "/", service.id);
  instance.generation = service.generation;
  instance.address = service.address.empty() ? node.record.address : service.address;
  instance.tags = service.tags;
  instance.health = InstanceHealth::kPassing;
  Worsen(instance, checks[""]);
  Worsen(instance, checks[service.id]);
  const bool warning = instance.health == InstanceHealth::kWarning;
  instance.weight = static_cast<uint32_t>(std::max<int64_t>(1, warning ? service.weights.warning : service.weights.passing));
  const bool port_fits = service.port > 0 && service.port <= 65535;
  instance.port = port_fits ? static_cast<uint16_t>(service.port) : uint16_t{0};
  if (IsLiteral(instance.address) && port_fits) return instance;
  instance.health = InstanceHealth::kCritical;
  instance.reason = absl::StrCat("cannot be reached: ", instance.address, ":", service.port,
                                 " is not an IP address and a port");
  return instance;
}

}  // namespace

absl::StatusOr<std::unique_ptr<EmbeddedCatalog>> EmbeddedCatalog::Open(boost::asio::io_context& io,
                                                                       EmbeddedCatalogOptions options) {
  if (options.node_name.empty()) options.node_name = HostName();
  if (options.node_address.empty()) options.node_address = HostAddress();
  std::error_code error;
  std::filesystem::create_directories(options.data_dir, error);
  if (error) {
    return absl::PermissionDeniedError(
        absl::StrCat("catalog data_dir ", options.data_dir, ": cannot create it: ", error.message()));
  }
  auto store = Store::Open(options.data_dir + "/catalog.db", Store::BootId());
  if (!store.ok()) return store.status();
  auto catalog = std::make_unique<Catalog>();
  absl::Status status = (*store)->Load(*catalog);
  if (!status.ok()) return status;
  const auto node_id = (*store)->NodeId();
  if (!node_id.ok()) return node_id.status();
  RegisterSelf(*catalog, options, *node_id);
  return std::unique_ptr<EmbeddedCatalog>(
      new EmbeddedCatalog(io, std::move(options), *std::move(store), std::move(catalog)));
}

// The agent's node as a Consul server shows itself: its record, the service "consul" and the check serfHealth.
void EmbeddedCatalog::RegisterSelf(Catalog& catalog, const EmbeddedCatalogOptions& options, const std::string& node_id) {
  // A host that was renamed takes its services along: nodes that carry this database's id under another name go.
  std::vector<std::string> former;
  for (const auto& [key, node] : catalog.nodes()) {
    if (node.record.id == node_id && key != Fold(options.node_name)) former.push_back(node.record.name);
  }
  std::vector<Catalog::Node> moved;
  for (const std::string& name : former) {
    moved.push_back(*catalog.FindNode(name));
    catalog.DeregisterNode(name);
  }
  Registration self;
  self.node.id = node_id;
  self.node.name = options.node_name;
  self.node.address = options.node_address;
  const char* family = options.node_address.find(':') == std::string::npos ? "ipv4" : "ipv6";
  for (const char* side : {"lan", "wan"}) {
    self.node.tagged_addresses[side] = options.node_address;
    self.node.tagged_addresses[absl::StrCat(side, "_", family)] = options.node_address;
  }
  self.node.meta = {{"consul-network-segment", ""}};
  ServiceRecord& consul = self.service.emplace();
  consul.id = consul.name = "consul";
  consul.port = 8300;
  consul.meta = {{"non_voter", "false"},          {"raft_version", "3"},         {"serf_protocol_current", "2"},
                 {"serf_protocol_max", "5"},      {"serf_protocol_min", "1"},    {"version", "1.8.7"}};
  CheckRecord& serf = self.checks.emplace_back();
  serf.id = "serfHealth";
  serf.name = "Serf Health Status";
  serf.status = kStatusPassing;
  serf.output = serf.fresh_output = "Agent alive and reachable";
  std::string error;
  catalog.Register(std::move(self), &error);
  for (const Catalog::Node& node : moved) {
    for (const auto& [id, service] : node.services) {
      Registration registration;
      registration.node.name = options.node_name;
      registration.skip_node_update = true;
      registration.service = service;
      for (const auto& [check_id, check] : node.checks) {
        if (check.service_id == id) registration.checks.push_back(check);
      }
      catalog.Register(std::move(registration), &error);
    }
  }
}

EmbeddedCatalog::EmbeddedCatalog(boost::asio::io_context& io, EmbeddedCatalogOptions options,
                                 std::unique_ptr<Store> store, std::unique_ptr<Catalog> catalog)
    : io_(io),
      options_(std::move(options)),
      store_(std::move(store)),
      catalog_(std::move(catalog)),
      agent_(*catalog_, options_.node_name, Agent::Clock::now()),
      timer_(io),
      waiters_(std::make_shared<Waiters>(io)),
      alive_(std::make_shared<bool>(true)) {
  probes_ = std::make_unique<Probes>(io, [this](const std::string& id, const std::string& status, const std::string& output) {
    Change([&](Agent& agent, Catalog&) { agent.OnProbed(id, status, output, Agent::Clock::now()); });
  });
  Change([](Agent&, Catalog&) {});
}

EmbeddedCatalog::~EmbeddedCatalog() {
  *alive_ = false;
  probes_.reset();
  if (const absl::Status status = Flush(); !status.ok()) spdlog::error("{}", std::string(status.message()));
}

void EmbeddedCatalog::Change(const std::function<void(Agent&, Catalog&)>& change) {
  change(agent_, *catalog_);
  ++changes_;
  if (turn_posted_) return;
  turn_posted_ = true;
  boost::asio::post(io_, [this, alive = alive_] {
    if (*alive) FinishTurn();
  });
}

// Once per turn of the loop, after all changes of it: one transaction, one wake-up per reader, one call per service.
void EmbeddedCatalog::FinishTurn() {
  turn_posted_ = false;
  const uint64_t taken = changes_;
  write_error_ = Flush();
  written_ = taken;
  std::set<std::string> touched = catalog_->TakeTouched();
  touched.insert(kWrittenKey);
  ForgetDraining();
  probes_->Follow(agent_.node());
  ArmTimer();
  waiters_->Touch(touched);
  NotifyServices(touched);
}

// What could not be written stays in unwritten_ and is tried again with the next turn, at the latest in a second.
absl::Status EmbeddedCatalog::Flush() {
  Dirty dirty = catalog_->TakeDirty();
  unwritten_.nodes.merge(dirty.nodes);
  unwritten_.services.merge(dirty.services);
  unwritten_.checks.merge(dirty.checks);
  unwritten_.indexes.merge(dirty.indexes);
  if (unwritten_.empty()) return absl::OkStatus();
  const absl::Status status = store_->Write(*catalog_, unwritten_);
  if (status.ok()) {
    unwritten_ = Dirty();
  } else if (write_error_.ok()) {
    spdlog::error("catalog: a change could not be stored and is lost if this process ends now: {}", std::string(status.message()));
  }
  return status;
}

void EmbeddedCatalog::ArmTimer() {
  Agent::Time next = agent_.NextTick();
  if (!unwritten_.empty()) next = std::min(next, Agent::Clock::now() + kWriteRetry);
  if (next == armed_for_) return;
  armed_for_ = next;
  timer_.cancel();
  if (next == Agent::Time::max()) return;
  timer_.expires_at(next);
  timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (error || !*alive) return;
    armed_for_ = Agent::Time::max();
    Change([](Agent& agent, Catalog&) {
      for (const std::string& id : agent.Tick(Agent::Clock::now())) {
        spdlog::warn("catalog: service {} was critical for longer than its DeregisterCriticalServiceAfter: removed", id);
      }
    });
  });
}

boost::asio::awaitable<absl::Status> EmbeddedCatalog::Written() {
  const uint64_t wanted = changes_;
  const std::shared_ptr<bool> alive = alive_;
  while (*alive && written_ < wanted) {
    const std::shared_ptr<Waiters> waiters = waiters_;
    std::vector<std::string> keys{kWrittenKey};
    co_await Waiters::Wait(waiters, std::move(keys), std::chrono::steady_clock::now() + std::chrono::seconds(30));
  }
  if (!*alive) co_return absl::UnavailableError("the catalog is shutting down");
  co_return write_error_;
}

boost::asio::awaitable<bool> EmbeddedCatalog::Touched(std::vector<std::string> keys,
                                                      std::chrono::steady_clock::time_point deadline) {
  return Waiters::Wait(waiters_, std::move(keys), deadline);
}

std::vector<Instance> EmbeddedCatalog::Instances(const std::string& service) const {
  asked_[Fold(service)] = service;
  std::vector<Instance> instances;
  const Catalog::Node* grouped = nullptr;
  Catalog::ChecksByService checks;
  for (const auto& [node, record] : catalog_->InstancesOf(service)) {
    if (node != grouped) checks = Catalog::GroupChecks(*node);
    grouped = node;
    instances.push_back(MakeInstance(*node, *record, checks));
    instances.back().draining = Draining(node->record.name, record->id);
  }
  std::sort(instances.begin(), instances.end(), [](const Instance& a, const Instance& b) { return a.id < b.id; });
  return instances;
}

void EmbeddedCatalog::OnChange(std::function<void(const std::string& service)> callback) {
  on_change_ = std::move(callback);
}

void EmbeddedCatalog::NotifyServices(const std::set<std::string>& touched) {
  if (!on_change_) return;
  constexpr std::string_view kPrefix = "index/";
  for (auto key = touched.lower_bound(std::string(kPrefix)); key != touched.end() && key->starts_with(kPrefix); ++key) {
    const std::string folded = key->substr(kPrefix.size());
    const auto asked = asked_.find(folded);
    on_change_(asked == asked_.end() ? folded : std::string(asked->second));
  }
}

bool EmbeddedCatalog::SetDraining(const std::string& service, const std::string& instance_id, bool draining) {
  for (const auto& [node, record] : catalog_->InstancesOf(service)) {
    if (absl::StrCat(node->record.name, "/", record->id) != instance_id) continue;
    const std::pair<std::string, std::string> key{Fold(node->record.name), record->id};
    const bool changed = draining ? draining_.emplace(key, record->generation).second : draining_.erase(key) > 0;
    if (!changed || !on_change_) return true;
    boost::asio::post(io_, [this, alive = alive_, folded = Fold(service)] {
      const std::set<std::string> touched{"index/" + folded};
      if (*alive) NotifyServices(touched);
    });
    return true;
  }
  return false;
}

bool EmbeddedCatalog::Draining(const std::string& node, const std::string& service_id) const {
  return draining_.contains({Fold(node), service_id});
}

// A drain ends with the instance it was asked for: gone, or registered anew elsewhere.
void EmbeddedCatalog::ForgetDraining() {
  std::erase_if(draining_, [this](const auto& entry) {
    const Catalog::Node* node = catalog_->FindNode(entry.first.first);
    if (node == nullptr) return true;
    const auto service = node->services.find(entry.first.second);
    return service == node->services.end() || service->second.generation != entry.second;
  });
}

std::string EmbeddedCatalog::node_id() const { return agent_.node().record.id; }

}  // namespace ringway::cp
