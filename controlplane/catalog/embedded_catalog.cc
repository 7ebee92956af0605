// Wires the parts of the embedded catalog together; see embedded_catalog.h.
#include "controlplane/catalog/embedded_catalog.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/log/log.h"
#include "controlplane/catalog/fold.h"
#include "controlplane/catalog/instance_view.h"
#include "controlplane/catalog/probes.h"
#include "controlplane/catalog/self_node.h"

namespace ringway::cp {
namespace {

constexpr char kWrittenKey[] = "written";  // touched when the store has taken a turn's changes
constexpr std::chrono::seconds kWriteRetry{1};
// The timer looks this often at least, while there is anything to expire: one that comes later by as much again was not
// late by chance, this process stood still (SIGSTOP, a paused container or virtual machine).
constexpr std::chrono::seconds kLookEvery{1};
constexpr size_t kUnseenMax = 1000;  // changes kept for a service that nobody looks at
constexpr size_t kLeaversMax = 16384;
constexpr size_t kNamedMax = 5;  // ids in one log line

}  // namespace

absl::StatusOr<std::unique_ptr<EmbeddedCatalog>> EmbeddedCatalog::Open(
    boost::asio::io_context& io, EmbeddedCatalogOptions options) {
  if (options.node_name.empty()) options.node_name = HostName();
  if (options.node_address.empty()) options.node_address = HostAddress();
  std::error_code error;
  std::filesystem::create_directories(options.data_dir, error);
  if (error) {
    return absl::PermissionDeniedError(absl::StrCat("catalog data_dir ", options.data_dir,
                                                    ": cannot create it: ", error.message()));
  }
  auto store = Store::Open(options.data_dir + "/catalog.db", Store::BootId());
  if (!store.ok()) return store.status();
  auto catalog = std::make_unique<Catalog>();
  absl::Status status = (*store)->Load(*catalog);
  if (!status.ok()) return status;
  const auto node_id = (*store)->NodeId();
  if (!node_id.ok()) return node_id.status();
  RegisterSelf(*catalog, options.node_name, options.node_address, *node_id);
  return std::unique_ptr<EmbeddedCatalog>(
      new EmbeddedCatalog(io, std::move(options), *std::move(store), std::move(catalog)));
}

EmbeddedCatalog::EmbeddedCatalog(boost::asio::io_context& io, EmbeddedCatalogOptions options,
                                 std::unique_ptr<Store> store, std::unique_ptr<Catalog> catalog)
    : io_(io),
      options_(std::move(options)),
      store_(std::move(store)),
      catalog_(std::move(catalog)),
      agent_(*catalog_, options_.node_name, Agent::Clock::now(), options_.lease),
      timer_(io),
      waiters_(std::make_shared<Waiters>(io)),
      alive_(std::make_shared<bool>(true)) {
  probes_ = std::make_unique<Probes>(
      io, [this](const std::string& id, const std::string& status, const std::string& output) {
        Change([&](Agent& agent, Catalog&) {
          agent.OnProbed(id, status, output, Agent::Clock::now());
        });
      });
  for (const auto& [id, check] : agent_.node().checks) probes_->Follow(id, &check);
  Change([](Agent&, Catalog&) {});
}

EmbeddedCatalog::~EmbeddedCatalog() {
  *alive_ = false;
  probes_.reset();
  if (const absl::Status status = Flush(); !status.ok())
    spdlog::error("{}", std::string(status.message()));
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

// Once per turn of the loop, after all changes of it: one transaction, one wake-up per reader, one
// call per service.
void EmbeddedCatalog::FinishTurn() {
  turn_posted_ = false;
  const uint64_t taken = changes_;
  Dirty dirty = catalog_->TakeDirty();
  FollowProbes(dirty);
  RememberLeavers(dirty);
  NoteChanges(dirty);
  unwritten_.Merge(std::move(dirty));
  write_error_ = Flush();
  written_ = taken;
  std::set<std::string> touched = catalog_->TakeTouched();
  touched.insert(kWrittenKey);
  ArmTimer();
  waiters_->Touch(touched);
  touched.merge(std::exchange(told_, {}));
  NotifyServices(touched);
}

void EmbeddedCatalog::FollowProbes(const Dirty& dirty) {
  const std::string self = Fold(options_.node_name);
  for (auto entry = dirty.checks.lower_bound({self, ""}); entry != dirty.checks.end() && entry->first == self; ++entry)
    probes_->Follow(entry->second, agent_.FindCheck(entry->second));
}

// Of the services that are gone now: who asked for it, and who merely vanished.
void EmbeddedCatalog::RememberLeavers(const Dirty& dirty) {
  const std::set<std::string> vanished = std::exchange(vanished_, {});
  for (const auto& [node_key, id] : dirty.services) {
    const Catalog::Node* node = catalog_->FindNode(node_key);
    if (node != nullptr && node->services.contains(id)) continue;
    const std::string key = absl::StrCat(node_key, "/", id);
    if (vanished.contains(key)) {
      left_.erase(key);
    } else if (left_.insert(key).second) {
      left_order_.push_back(key);
    }
  }
  for (; left_order_.size() > kLeaversMax; left_order_.pop_front()) left_.erase(left_order_.front());
}

// What could not be written stays in unwritten_ and is tried again with the next turn, at the
// latest in a second.
absl::Status EmbeddedCatalog::Flush() {
  unwritten_.Merge(catalog_->TakeDirty());
  if (unwritten_.empty()) return absl::OkStatus();
  const absl::Status status = store_->Write(*catalog_, unwritten_);
  if (status.ok()) {
    unwritten_ = Dirty();
    if (!write_error_.ok()) spdlog::info("catalog: everything is stored again");
  } else if (write_error_.ok()) {
    spdlog::error("catalog: changes are in force but cannot be stored, trying again every second; they are lost if this "
                  "process ends now: {}",
                  std::string(status.message()));
  }
  return status;
}

void EmbeddedCatalog::ArmTimer() {
  const Agent::Time now = Agent::Clock::now();
  Agent::Time next = agent_.NextTick();
  if (!unwritten_.empty()) next = std::min(next, now + kWriteRetry);
  if (next == Agent::Time::max()) return;
  next = std::min(next, now + kLookEvery);
  if (armed_for_ <= next) return;
  armed_for_ = next;
  timer_.expires_at(next);
  timer_.async_wait([this, next, alive = alive_](const boost::system::error_code& error) {
    if (!error && *alive) OnTimer(next);
  });
}

void EmbeddedCatalog::OnTimer(Agent::Time planned) {
  armed_for_ = Agent::Time::max();
  const Agent::Time now = Agent::Clock::now();
  if (const auto late = now - planned; late >= kLookEvery) {
    spdlog::warn("catalog: this process stood still for {} ms; TTLs and leases get their time again",
                 std::chrono::duration_cast<std::chrono::milliseconds>(late).count());
    agent_.Forgive(late, now);
  }
  if (agent_.NextTick() > now && unwritten_.empty()) return ArmTimer();
  Change([this, now](Agent& agent, Catalog&) {
    const std::vector<Agent::Removed> removed = agent.Tick(now);
    std::vector<std::string> named;
    for (const Agent::Removed& gone : removed) {
      if (!gone.draining) vanished_.insert(absl::StrCat(Fold(options_.node_name), "/", gone.service_id));
      if (named.size() < kNamedMax) named.push_back(absl::StrCat(gone.service_id, " (", gone.check_id, ")"));
    }
    if (removed.empty()) return;
    spdlog::warn("catalog: {} removed, critical for longer than deregister_after allows: {}{}", removed.size(),
                 absl::StrJoin(named, ", "), removed.size() > named.size() ? ", ..." : "");
  });
}

boost::asio::awaitable<absl::Status> EmbeddedCatalog::Written() {
  const uint64_t wanted = changes_;
  const std::shared_ptr<bool> alive = alive_;
  while (*alive && written_ < wanted) {
    const std::shared_ptr<Waiters> waiters = waiters_;
    std::vector<std::string> keys{kWrittenKey};
    co_await Waiters::Wait(waiters, std::move(keys),
                           std::chrono::steady_clock::now() + std::chrono::seconds(30));
  }
  if (!*alive) co_return absl::UnavailableError("the catalog is shutting down");
  co_return write_error_;
}

boost::asio::awaitable<bool> EmbeddedCatalog::Touched(
    std::vector<std::string> keys, std::chrono::steady_clock::time_point deadline) {
  return Waiters::Wait(waiters_, std::move(keys), deadline);
}

std::vector<Instance> EmbeddedCatalog::Instances(const std::string& service) const {
  asked_[Fold(service)] = service;
  unseen_[Fold(service)].emplace();
  std::vector<Instance> instances;
  for (const auto& [node, record] : catalog_->InstancesOf(service))
    instances.push_back(MakeInstance(*node, *record));
  const auto by_id = [](const Instance& a, const Instance& b) { return a.id < b.id; };
  if (!std::is_sorted(instances.begin(), instances.end(), by_id))
    std::sort(instances.begin(), instances.end(), by_id);
  return instances;
}

void EmbeddedCatalog::NoteChanges(const Dirty& dirty) {
  for (auto& [service, unseen] : unseen_) {
    if (!unseen) continue;
    unseen->insert(dirty.instances.begin(), dirty.instances.end());
    if (unseen->size() > kUnseenMax) unseen.reset();
  }
}

bool EmbeddedCatalog::TakeChanges(const std::string& service, const ChangeSink& sink) {
  const std::string key = Fold(service);
  const auto found = unseen_.find(key);
  if (found == unseen_.end() || !found->second) return false;
  const auto tell = [&](const Catalog::Node& node, const ServiceRecord& record) {
    const Instance instance = MakeInstance(node, record);
    sink(instance.id, Fold(record.name) == key ? &instance : nullptr);
  };
  auto unseen = std::exchange(*found->second, {});
  const auto& this_turn = catalog_->dirty().instances;  // they come again at its end, and then change nothing
  unseen.insert(this_turn.begin(), this_turn.end());
  for (const auto& [node_key, id] : unseen) {
    const Catalog::Node* node = catalog_->FindNode(node_key);
    if (node == nullptr) return false;  // its instances are gone, and their names with it
    if (id.empty()) {
      for (const auto& [each, record] : node->services) tell(*node, record);
    } else if (const auto record = node->services.find(id); record != node->services.end()) {
      tell(*node, record->second);
    } else {
      sink(absl::StrCat(node->record.name, "/", id), nullptr);
    }
  }
  return true;
}

void EmbeddedCatalog::OnChange(std::function<void(const std::string& service)> callback) {
  on_change_ = std::move(callback);
}

void EmbeddedCatalog::NotifyServices(const std::set<std::string>& touched) {
  if (!on_change_) return;
  constexpr std::string_view kPrefix = "index/";
  for (auto key = touched.lower_bound(std::string(kPrefix));
       key != touched.end() && key->starts_with(kPrefix); ++key) {
    const std::string folded = key->substr(kPrefix.size());
    const auto asked = asked_.find(folded);
    on_change_(asked == asked_.end() ? folded : std::string(asked->second));
  }
}

CatalogState EmbeddedCatalog::State() const {
  return {"embedded", write_error_.ok(), std::chrono::system_clock::now(),
          std::string(write_error_.message())};
}

bool EmbeddedCatalog::SetDraining(const std::string& service, const std::string& instance_id,
                                  bool draining) {
  for (const auto& [node, record] : catalog_->InstancesOf(service)) {
    if (absl::StrCat(node->record.name, "/", record->id) != instance_id) continue;
    if (record->draining == draining) return true;
    const std::string name = node->record.name;
    const std::string id = record->id;
    Change([&](Agent&, Catalog& catalog) { catalog.SetDraining(name, id, draining); });
    told_.insert("index/" + Fold(service));
    return true;
  }
  return false;
}

bool EmbeddedCatalog::LeftByItself(const std::string&, const std::string& instance_id) const {
  const size_t slash = instance_id.find('/');
  if (slash == std::string::npos) return false;
  const std::string node_key = Fold(instance_id.substr(0, slash));
  const std::string id = instance_id.substr(slash + 1);
  const Catalog::Node* node = catalog_->FindNode(node_key);
  if (node != nullptr && node->services.contains(id)) return true;  // under another service's name now
  return left_.contains(absl::StrCat(node_key, "/", id));
}

std::string EmbeddedCatalog::node_id() const { return agent_.node().record.id; }

}  // namespace ringway::cp
