// See control_plane.h. The status document is in status.cc.
#include "controlplane/control_plane.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/log/log.h"
#include "controlplane/config/default_config.h"
#include "controlplane/config/net_names.h"

namespace ringway::cp {
namespace {

constexpr std::chrono::milliseconds kCatalogLook{200};  // how soon the dataplanes hear of a change
constexpr std::chrono::seconds kCatalogTold{1};

}  // namespace

ControlPlane::ControlPlane(boost::asio::io_context& io, Loaded loaded, std::string run_dir)
    : io_(io), loaded_(std::move(loaded)), run_dir_(std::move(run_dir)), loaded_at_(std::chrono::system_clock::now()),
      state_(loaded_.config.catalog.data_dir), checker_(io), catalog_timer_(io) {
  if (!state_.problem().empty()) spdlog::warn("feed: {}; versions begin a new epoch at each start", state_.problem());
}

ControlPlane::~ControlPlane() = default;

absl::Status ControlPlane::Listen() {
  auto feed = FeedServer::Listen(io_, run_dir_, [this]() -> const api::Snapshot& { return resolver_ ? resolver_->snapshot() : nothing_yet_; });
  if (!feed.ok()) return feed.status();
  feed_ = std::move(*feed);
  return absl::OkStatus();
}

void ControlPlane::Follow(Source& catalog) {
  catalog_ = &catalog;
  resolver_ = std::make_unique<Resolver>(io_, catalog, checker_, state_);
  last_known_ = std::make_unique<LastKnown>(io_, loaded_.config.catalog.data_dir, [this]() -> const api::Snapshot& { return resolver_->snapshot(); });
  resolver_->Restore(last_known_->Read());
  resolver_->OnPublish([this](const api::Snapshot& now, const api::Delta* delta) {
    feed_->Publish(delta);
    last_known_->Changed();
    spdlog::debug("feed: version {} published", now.version);
  });
  feed_->OnEjections([this] { TakeEjections(); });
  drain_ = std::make_unique<DrainCoordinator>(*resolver_, *feed_);
  LogWarnings();
  resolver_->Configure(loaded_.config);
  spdlog::info("config {}: {} listeners, {} services; version {} published on {}/feed.sock", loaded_.config.file, loaded_.config.listeners.size(),
               loaded_.config.services.size(), resolver_->snapshot().version, run_dir_);
  TellCatalogState();
}

void ControlPlane::TakeEjections() {
  auto ejected = feed_->Ejected();
  for (const api::Service& service : resolver_->snapshot().services) resolver_->SetEjected(service.name, std::move(ejected[service.name]));
}

// To the dataplanes, for their stats: at each change, and every second so that the age is true.
void ControlPlane::TellCatalogState() {
  const CatalogState state = catalog_->State();
  const auto good_at = std::chrono::duration_cast<std::chrono::milliseconds>(state.good_at.time_since_epoch());
  const api::CatalogStatus status{state.name, state.ok, good_at.count(), state.error};
  const auto now = std::chrono::steady_clock::now();
  const bool news = status.name != catalog_told_.name || status.ok != catalog_told_.ok || status.error != catalog_told_.error;
  if (news || now - catalog_told_at_ >= kCatalogTold) {
    feed_->PublishStatus(status);
    catalog_told_ = status;
    catalog_told_at_ = now;
  }
  catalog_timer_.expires_after(kCatalogLook);
  catalog_timer_.async_wait([this](boost::system::error_code error) {
    if (!error) TellCatalogState();
  });
}

void ControlPlane::LogWarnings() const {
  for (const std::string& warning : loaded_.warnings) spdlog::warn("{}", warning);
  if (loaded_.config.stats.user == "admin" && loaded_.config.stats.password == "admin") {
    spdlog::warn("stats on {} answer to admin:admin; set stats.user and stats.password", loaded_.config.stats.bind);
  }
}

absl::StatusOr<std::string> ControlPlane::Reload() {
  const std::string file = loaded_.config.file == kDefaultConfigName ? "" : loaded_.config.file;
  auto loaded = LoadConfig(file);
  if (!loaded.ok()) {
    last_refusal_ = std::string(loaded.status().message());
    for (const auto line : absl::StrSplit(last_refusal_, '\n')) spdlog::error("reload refused, what runs goes on: {}", std::string(line));
    return absl::InvalidArgumentError(last_refusal_);
  }
  std::string text;
  if (loaded->config.catalog != loaded_.config.catalog) {
    absl::StrAppend(&text, "the catalog section changed: that part takes effect at the next start\n");
    loaded->config.catalog = loaded_.config.catalog;
  }
  if (loaded->config.run_dir != loaded_.config.run_dir) {
    absl::StrAppend(&text, "run_dir changed: that part takes effect at the next start\n");
    loaded->config.run_dir = loaded_.config.run_dir;
  }
  const uint64_t before = resolver_->snapshot().version;
  loaded_ = *std::move(loaded);
  loaded_at_ = std::chrono::system_clock::now();
  last_refusal_.clear();
  LogWarnings();
  resolver_->Configure(loaded_.config);
  const uint64_t version = resolver_->snapshot().version;
  if (version == before) {
    absl::StrAppend(&text, "applied, nothing to push: version ", version, " stays\n");
  } else {
    absl::StrAppend(&text, "applied version ", version, "\n");
  }
  for (const auto line : absl::StrSplit(text, '\n', absl::SkipEmpty())) spdlog::info("reload: {}", std::string(line));
  return text;
}

boost::asio::awaitable<std::string> ControlPlane::Answers(std::chrono::milliseconds wait) {
  const auto deadline = std::chrono::steady_clock::now() + wait;
  const uint64_t version = resolver_->snapshot().version;
  while (feed_->Unanswered(version) != 0 && std::chrono::steady_clock::now() < deadline) co_await feed_->Changed(deadline);
  std::string text;
  for (const DataplaneView& view : feed_->Dataplanes()) {
    if (view.refused && view.refused->version >= version) {
      absl::StrAppend(&text, "dataplane ", view.pid, " refused version ", view.refused->version, ": ", view.refused->reason, "\n");
    } else if (!view.acked || *view.acked < version) {
      absl::StrAppend(&text, "dataplane ", view.pid, " has not answered yet\n");
    }
  }
  co_return text;
}

boost::asio::awaitable<absl::StatusOr<DrainResult>> ControlPlane::Drain(std::string service, std::string instance_id,
                                                                       std::chrono::milliseconds wait) {
  co_return co_await drain_->Drain(service, instance_id, wait);
}

absl::Status ControlPlane::Undrain(const std::string& service, const std::string& instance_id) { return drain_->Undrain(service, instance_id); }

const api::Endpoint* ControlPlane::EndpointOf(const EndpointName& name) const {
  for (const api::Service& service : resolver_->snapshot().services) {
    if (service.name != name.service) continue;
    const auto found = std::find_if(service.endpoints.begin(), service.endpoints.end(), [&](const api::Endpoint& one) { return one.id == name.id; });
    return found == service.endpoints.end() ? nullptr : &*found;
  }
  return nullptr;
}

absl::StatusOr<EndpointName> ControlPlane::Find(const std::string& service, const std::string& endpoint) const {
  std::vector<EndpointName> found;
  for (const api::Service& candidate : resolver_->snapshot().services) {
    if (!service.empty() && candidate.name != service) continue;
    for (const api::Endpoint& one : candidate.endpoints) {
      const size_t slash = one.id.find('/');
      const bool by_tail = slash != std::string::npos && one.id.compare(slash + 1, std::string::npos, endpoint) == 0;
      if (one.id == endpoint || by_tail || FormatHostPort(one.address, one.port) == endpoint) found.push_back({candidate.name, one.id});
    }
  }
  const std::string where = service.empty() ? "no service has" : "service \"" + service + "\" does not have";
  if (found.empty()) return absl::NotFoundError("wanted an endpoint by id or ADDRESS:PORT; " + where + " \"" + endpoint + "\"");
  if (found.size() == 1) return found[0];
  std::string message = "\"" + endpoint + "\" is more than one endpoint; wanted one of:";
  for (const EndpointName& name : found) absl::StrAppend(&message, " ", name.service, " ", name.id);
  return absl::FailedPreconditionError(message);
}

}  // namespace ringway::cp
