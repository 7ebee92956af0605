// Wires the parts of the embedded catalog together; see embedded_catalog.h.
#include "controlplane/catalog/embedded_catalog.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log/log.h"
#include "controlplane/catalog/fold.h"
#include "controlplane/catalog/instance_view.h"
#include "controlplane/catalog/probes.h"
#include "controlplane/catalog/self_node.h"

namespace ringway::cp {
namespace {

constexpr char kWrittenKey[] = "written";  // touched when the store has taken a turn's changes
constexpr std::chrono::seconds kWriteRetry{1};

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
      agent_(*catalog_, options_.node_name, Agent::Clock::now()),
      timer_(io),
      waiters_(std::make_shared<Waiters>(io)),
      alive_(std::make_shared<bool>(true)) {
  probes_ = std::make_unique<Probes>(
      io, [this](const std::string& id, const std::string& status, const std::string& output) {
        Change([&](Agent& agent, Catalog&) {
          agent.OnProbed(id, status, output, Agent::Clock::now());
        });
      });
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

// What could not be written stays in unwritten_ and is tried again with the next turn, at the
// latest in a second.
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
    spdlog::error("catalog: a change could not be stored and is lost if this process ends now: {}",
                  std::string(status.message()));
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
        spdlog::warn(
            "catalog: service {} was critical for longer than its DeregisterCriticalServiceAfter: "
            "removed",
            id);
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
  std::vector<Instance> instances;
  const Catalog::Node* grouped = nullptr;
  Catalog::ChecksByService checks;
  for (const auto& [node, record] : catalog_->InstancesOf(service)) {
    if (node != grouped) checks = Catalog::GroupChecks(*node);
    grouped = node;
    instances.push_back(MakeInstance(*node, *record, checks));
    instances.back().draining = Draining(node->record.name, record->id);
  }
  std::sort(instances.begin(), instances.end(),
            [](const Instance& a, const Instance& b) { return a.id < b.id; });
  return instances;
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
    const std::pair<std::string, std::string> key{Fold(node->record.name), record->id};
    const bool changed =
        draining ? draining_.emplace(key, record->generation).second : draining_.erase(key) > 0;
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
