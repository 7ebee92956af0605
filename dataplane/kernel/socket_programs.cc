// See socket_programs.h.
#include "dataplane/kernel/socket_programs.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/log/log.h"
#include "dataplane/feed/identity.h"
#include "dataplane/kernel/connect.h"
#include "dataplane/kernel/connect_plan.h"
#include "dataplane/kernel/steer.h"

namespace ringway::dp {
namespace {

std::string ShortHash(const std::string& text) {
  uint32_t hash = 2166136261u;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return absl::StrCat(absl::Hex(hash, absl::kZeroPad8));
}

ConnectCount Converted(const connect_counters& c) { return {c.chosen, c.open, c.empty, c.foreign}; }

// Says a trouble when it comes or becomes another one, and its end.
class Trouble {
 public:
  explicit Trouble(std::string what) : what_(std::move(what)) {}
  void Note(const absl::Status& status) {
    const std::string text(status.message());
    if (text == text_) return;
    if (text.empty()) spdlog::info("{}: in order again", what_);
    else spdlog::warn("{}: {}", what_, text);
    text_ = text;
  }
  const std::string& text() const { return text_; }

 private:
  const std::string what_;
  std::string text_;
};

class Programs : public SocketPrograms {
 public:
  Programs(std::vector<WorkerShared*> workers, const std::string& instance, std::string logs)
      : workers_(std::move(workers)), pin_name_("connect-" + ShortHash(instance)), logs_(std::move(logs)) {}
  ~Programs() override { UnlinkWorkers(); }

  void Apply(const std::shared_ptr<const api::Snapshot>& snapshot, const Directory& directory, const BackendMap& map) override {
    if (left_) return;
    snapshot_ = snapshot;
    ApplyConnect();
    ApplySteering(directory, map);
  }
  void Tick() override {
    if (left_) return;
    if (connect_ != nullptr) {
      connect_->Tick();
      connect_trouble_.Note(WithPlan(connect_->status()));
    }
    if (plan_.wildcard || (plan_.wanted() && connect_ == nullptr && !refused_)) ApplyConnect();
    SteerPending();
    if (steering_ != nullptr) steering_->Tick();
  }
  void Leave() override {
    left_ = true;
    if (steering_ != nullptr) steering_->ReleaseAll();
    connect_.reset();
  }
  void Stop() override {
    if (left_ || connect_ == nullptr) return;
    connect_.reset();
    if (on_stop_ == api::OnStop::kDetach) Detach();
  }

  ConnectCount OfListener(const std::string& listener) const override {
    return connect_ != nullptr ? Converted(connect_->OfService(listener)) : ConnectCount{};
  }
  ConnectCount OfEndpoint(const std::string& service, const api::Endpoint& endpoint) const override {
    return connect_ != nullptr ? Converted(connect_->OfEndpoint(EndpointIdentity(service, endpoint))) : ConnectCount{};
  }
  SteerCount Steered() const override {
    if (steering_ == nullptr) return {};
    const auto counts = steering_->Counts();
    return {counts[STEER_LOCAL], counts[STEER_LEAST], counts[STEER_KERNEL]};
  }
  std::vector<ProgramState> States() const override;

 private:
  void ApplyConnect();
  absl::Status StartConnect();
  absl::Status WithPlan(const absl::Status& status) const;
  void Detach();
  void ApplySteering(const Directory& directory, const BackendMap& map);
  absl::Status StartSteering();
  void SteerPending();
  absl::Status Unpinned() const;
  void UnlinkWorkers();

  const std::vector<WorkerShared*> workers_;
  const std::string pin_name_;
  const std::string logs_;
  bool left_ = false;
  std::shared_ptr<const api::Snapshot> snapshot_;

  std::unique_ptr<ConnectDelivery> connect_;
  ConnectPlan plan_;
  std::string pins_;  // stays while connect_ is there
  api::OnStop on_stop_ = api::OnStop::kDetach;
  bool refused_ = false;  // loading was; decided once
  Trouble connect_trouble_{"connect delivery"};

  std::unique_ptr<Steering> steering_;
  std::map<std::string, std::vector<int>> pending_;  // groups that could not be steered yet
  bool steer_wanted_ = false;
  bool steer_refused_ = false;
  Trouble steer_trouble_{"steering"};
};

// ---- connect

void Programs::ApplyConnect() {
  on_stop_ = snapshot_->connect.on_stop;
  if (connect_ == nullptr) pins_ = snapshot_->connect.pin_dir + "/" + pin_name_;
  plan_ = PlanConnect(*snapshot_);
  if (!plan_.wanted()) {
    connect_.reset();
    connect_trouble_.Note(ConnectDelivery::Detach(pins_));  // also what a process before this one has left
    return;
  }
  if (connect_ == nullptr && !refused_) {
    if (absl::Status s = StartConnect(); !s.ok()) {
      connect_trouble_.Note(absl::Status(s.code(), absl::StrCat("not to be had, listeners fall back: ", s.message())));
    }
  }
  if (connect_ != nullptr) connect_trouble_.Note(WithPlan(connect_->Apply(plan_.services, plan_.cgroups)));
}

// A folder that another dataplane has is asked for again by Tick: that one may leave, or end.
absl::Status Programs::StartConnect() {
  absl::StatusOr<std::unique_ptr<ConnectDelivery>> started = ConnectDelivery::Start(pins_, logs_);
  if (!started.ok()) {
    refused_ = !absl::IsFailedPrecondition(started.status());
    if (refused_) Detach();  // what an earlier process left would go on by its tables with nobody to feed them
    return started.status();
  }
  connect_ = *std::move(started);
  spdlog::info("connect delivery: sockets of {} are led to endpoints", absl::StrJoin(plan_.cgroups, ", "));
  return absl::OkStatus();
}

absl::Status Programs::WithPlan(const absl::Status& status) const {
  if (!status.ok()) return status;
  if (!plan_.own_endpoint.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("listener ", plan_.own_endpoint[0], ": its address is that of one of its endpoints, which is reached by it: nobody is led; wanted: another \"bind\""));
  }
  if (plan_.other_family.empty()) return status;
  return absl::FailedPreconditionError(absl::StrCat(plan_.other_family.size(), " ready endpoints are not of their listener's address family and get no clients: ", plan_.other_family[0],
                                                    plan_.other_family.size() > 1 ? ", ..." : ""));
}

void Programs::Detach() {
  if (absl::Status s = ConnectDelivery::Detach(pins_); !s.ok()) spdlog::error("connect delivery: {}", std::string(s.message()));
}

// ---- steering

void Programs::ApplySteering(const Directory& directory, const BackendMap& map) {
  const bool before = std::exchange(steer_wanted_, snapshot_->steering != api::Steering::kHash);
  if (steering_ != nullptr && steer_wanted_) steering_->PreferLocal(snapshot_->steering == api::Steering::kLocal);
  pending_.clear();
  std::set<std::string> groups;
  for (const auto& [name, handle] : directory.listeners) {
    const std::vector<int>& sockets = map.listeners[handle]->sockets;
    const auto any = std::find_if(sockets.begin(), sockets.end(), [](int fd) { return fd >= 0; });
    if (any == sockets.end()) continue;
    // Another handle has other sockets.
    const std::string group = absl::StrCat(name, " #", handle);
    groups.insert(group);
    if (!steer_wanted_ && steering_ != nullptr) steering_->Release(group, *any);
    else if (steer_wanted_ && (steering_ == nullptr || !steering_->Steers(group))) pending_[group] = sockets;
  }
  if (steering_ != nullptr) steering_->ReleaseOthers(groups);
  if (steer_wanted_ && !before && steering_ == nullptr && !steer_refused_) {
    const absl::Status started = StartSteering();
    steer_refused_ = !started.ok();
    steer_trouble_.Note(started);
  }
  SteerPending();
}

absl::Status Programs::StartSteering() {
  std::vector<int> cpus;
  for (const WorkerShared* worker : workers_) cpus.push_back(worker->cpu.load(std::memory_order_relaxed));
  absl::StatusOr<std::unique_ptr<Steering>> started = Steering::Start(std::move(cpus), logs_);
  if (!started.ok()) return started.status();
  steering_ = *std::move(started);
  steering_->PreferLocal(snapshot_->steering == api::Steering::kLocal);
  for (uint32_t i = 0; i < workers_.size(); ++i) {
    std::atomic<uint64_t>* word = steering_->SessionsOf(i);
    word->store(workers_[i]->sessions_own.load());
    workers_[i]->sessions.store(word, std::memory_order_release);
  }
  return absl::OkStatus();
}

// What was in the way and is not wanted any more is over too. A group that is not steered says more than a preference without effect.
void Programs::SteerPending() {
  if (steering_ == nullptr) return;
  absl::Status status;
  for (auto it = pending_.begin(); it != pending_.end();) {
    const absl::Status steered = steering_->Steer(it->first, it->second);
    status.Update(steered);
    it = steered.ok() ? pending_.erase(it) : std::next(it);
  }
  status.Update(Unpinned());
  steer_trouble_.Note(status);
}

absl::Status Programs::Unpinned() const {
  if (snapshot_->steering != api::Steering::kLocal || steering_->AnyPinned()) return absl::OkStatus();
  return absl::FailedPreconditionError("\"local\" is as \"least_sessions\": no worker is pinned to a CPU (--pin)");
}

void Programs::UnlinkWorkers() {
  for (WorkerShared* worker : workers_) worker->sessions.store(&worker->sessions_own, std::memory_order_release);
}

std::vector<ProgramState> Programs::States() const {
  std::vector<ProgramState> states(2);
  states[0] = {"connect", connect_ != nullptr ? "on" : plan_.wanted() ? "refused" : "off", connect_trouble_.text()};
  if (states[0].detail.empty() && connect_ != nullptr) states[0].detail = "cgroups " + absl::StrJoin(plan_.cgroups, ", ");
  states[1] = {"steer", !steer_wanted_ ? "off" : steer_refused_ ? "refused" : "on", steer_trouble_.text()};
  return states;
}

}  // namespace

std::unique_ptr<SocketPrograms> SocketPrograms::Make(std::vector<WorkerShared*> workers, const std::string& instance, std::string log_folder) {
  return std::make_unique<Programs>(std::move(workers), instance, std::move(log_folder));
}

}  // namespace ringway::dp
