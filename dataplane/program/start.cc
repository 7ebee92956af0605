// The process until its loop runs: what it takes from the dataplane before it, the snapshot to begin with, the workers; see process.h.
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "common/log/log.h"
#include "common/privileges/privileges.h"
#include "dataplane/feed/validate.h"
#include "dataplane/kernel/pin_directory.h"
#include "dataplane/program/exit_codes.h"
#include "dataplane/program/process.h"
#include "dataplane/program/resources.h"

namespace ringway::dp {
namespace {

constexpr std::chrono::seconds kTakeTimeout{5};  // for the other one to hand out everything

std::string SocketPath(const DataplaneOptions& options) { return options.run_dir + "/handover.sock"; }

}  // namespace

// Before the first thread. A successor is a child of `ringway up`, never of this process: nothing is executed from here.
void Dataplane::PrepareUnprivilegedLife() {
  GainNoPrivileges();
  MountBpfFs();
}

// What a snapshot may ask for at any time: a port below 1024; programs loaded, their tables, interfaces and cgroups (with
// CAP_PERFMON for the verifier); and the run and state directories and pins, even where they are of another user.
void Dataplane::GiveUpPrivileges() { KeepOnly({CAP_NET_BIND_SERVICE, CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_DAC_OVERRIDE, CAP_FOWNER}); }

// With nobody there it is an ordinary start.
std::optional<int> Dataplane::TakeOverSockets() {
  if (!options_.take_over) return std::nullopt;
  absl::StatusOr<Inheritance> got = TakeOver(SocketPath(options_), kTakeTimeout);
  if (got.ok()) {
    spdlog::info("taking over from process {} (release {}): {} sockets of {} workers", got->offer.pid, got->offer.release,
                 got->sockets.size(), got->offer.workers);
    inheritance_ = *std::move(got);
    return std::nullopt;
  }
  const std::string reason(got.status().message());
  if (absl::IsNotFound(got.status())) {
    spdlog::info("nobody to take over from ({}): an ordinary start", reason);
    return std::nullopt;
  }
  spdlog::error("cannot take over: {}", reason);
  status_.Say("failed", reason);
  return kExitTemporary;
}

// What to start from: the given file, what the dataplane before this one runs, or the last good snapshot. A given file must be
// good, a kept one need not be there.
std::optional<int> Dataplane::LoadSnapshot() {
  if (!options_.snapshot_file.empty()) {
    auto stored = ReadSnapshotFile(options_.snapshot_file);
    if (!stored.ok()) {
      spdlog::error("--snapshot: {}", std::string(stored.status().message()));
      return kExitConfig;
    }
    first_ = *std::move(stored);
    first_source_ = "file";
    return std::nullopt;
  }
  std::error_code error;
  std::filesystem::create_directories(options_.state_dir, error);
  if (error || access(options_.state_dir.c_str(), W_OK | X_OK) != 0) {
    spdlog::error("state directory {}: cannot be created or written{}{} (--state-dir, RINGWAY_STATE_DIR)",
                  options_.state_dir, error ? ": " : "", error ? error.message() : "");
    status_.Say("failed", "the state directory " + options_.state_dir + " cannot be created or written");
    return kExitCannotCreate;
  }
  store_ = std::make_unique<SnapshotStore>(io_, options_.state_dir + "/snapshot.json");
  if (LoadHandedSnapshot()) return std::nullopt;
  auto stored = store_->Load();
  if (stored.ok()) {
    spdlog::info("starting from the kept snapshot, version {}", stored->snapshot->version);
    first_ = *std::move(stored);
    first_source_ = "disk";
  } else if (!absl::IsNotFound(stored.status())) {
    spdlog::error("kept snapshot: {}; going on without", std::string(stored.status().message()));
  }
  return std::nullopt;
}

bool Dataplane::LoadHandedSnapshot() {
  if (!inheritance_ || inheritance_->snapshot.get() < 0) return false;
  auto stored = ReadSnapshotFile("/proc/self/fd/" + std::to_string(inheritance_->snapshot.get()));
  if (!stored.ok()) {  // of a release too far from this one
    spdlog::warn("the snapshot handed over cannot be understood: {}; trying the kept one", std::string(stored.status().message()));
    return false;
  }
  if (inheritance_->offer.partial) {  // the control plane knows a listener that is not in it: ask for all
    api::Snapshot other = *stored->snapshot;
    other.epoch = "handover";
    stored->snapshot = std::make_shared<const api::Snapshot>(std::move(other));
  }
  first_ = *std::move(stored);
  first_->written_at = std::chrono::system_clock::time_point(std::chrono::milliseconds(inheritance_->offer.snapshot_unix_ms));
  first_source_ = "handover";
  return true;
}

// Each handed socket needs a worker that accepts from it: never fewer workers than the dataplane before had.
uint32_t Dataplane::WorkersWanted(const CpuList& cpus) const {
  const bool listed = !cpus.empty() && options_.pin != "auto";
  const uint32_t usable = listed ? static_cast<uint32_t>(cpus.size()) : UsableCpus();
  const uint32_t wanted = options_.workers != 0 ? options_.workers : usable;
  if (!inheritance_) return wanted;
  uint32_t needed = 0;
  for (const auto& [name, fd] : inheritance_->sockets) {
    if (name.protocol != "stats") needed = std::max(needed, name.worker + 1);
  }
  if (needed > wanted) {
    spdlog::warn("{} workers instead of {}: the dataplane before had as many, and each of its sockets needs one; "
                 "a restart makes them fewer", needed, wanted);
  }
  return std::max(wanted, needed);
}

std::optional<int> Dataplane::StartWorkers() {
  const uint64_t files = RaiseFileLimit();
  const absl::StatusOr<CpuList> cpus = CpusToPin(options_.pin, AllowedCpus());
  if (!cpus.ok()) {
    spdlog::error("--pin: {}", std::string(cpus.status().message()));
    status_.Say("failed", "--pin: " + std::string(cpus.status().message()));
    return kExitUsage;
  }
  const uint32_t workers = WorkersWanted(*cpus);
  sessions_max_ = first_ ? first_->snapshot->sessions_max : 0;
  share_ = ShareFiles(files, workers, sessions_max_);
  exchanges_max_ = share_.sessions_max;
  for (uint32_t i = 0; i < workers; ++i) {
    WorkerThreadOptions options;
    options.index = i;
    if (!cpus->empty()) options.cpu = static_cast<int>((*cpus)[i % cpus->size()]);
    options.uring.huge_pages = options_.huge_pages;
    const std::optional<PreferNode> near = options.cpu < 0 ? std::nullopt : std::make_optional<PreferNode>(static_cast<uint32_t>(options.cpu));
    shared_.push_back(std::make_unique<WorkerShared>());
    options.sessions_max = share_.sessions_max;
    options.upstreams_max = share_.upstreams_max;
    options.files_max = share_.files_max;
    options.splice = options_.bulk == "splice";
    auto thread = WorkerThread::Start(options, *shared_.back());
    if (!thread.ok()) {
      spdlog::error("worker {}: {}", i, std::string(thread.status().message()));
      status_.Say("failed", std::string(thread.status().message()));
      shared_.back()->stopped = true;
      AbandonWorkers();
      return kExitUnavailable;
    }
    threads_.push_back(*std::move(thread));
  }
  spdlog::info("ringway-dataplane {} with {} workers, {} sessions and {} upstreams each, {} open files", RINGWAY_VERSION, workers,
               share_.sessions_max, share_.upstreams_max, files);
  TellPlaces(*cpus);
  return std::nullopt;
}

void Dataplane::TellPlaces(const CpuList& cpus) const {
  if (!cpus.empty()) {
    std::string places;
    for (const auto& worker : shared_) {
      const auto cpu = static_cast<uint32_t>(worker->cpu.load());
      places += (places.empty() ? "" : ", ") + std::to_string(cpu) + " (node " + std::to_string(NodeOf(cpu)) + ")";
    }
    spdlog::info("workers run on CPUs {}", places);
    if (shared_.size() > cpus.size()) spdlog::warn("--pin: {} workers share {} CPUs", shared_.size(), cpus.size());
  }
  if (!options_.huge_pages) return;
  const auto pages = static_cast<Pages>(shared_.front()->pages.load());
  if (pages == Pages::kHuge) spdlog::info("receive buffers lie in huge pages");
  else if (pages == Pages::kAdvised) spdlog::warn("no huge pages are free (vm.nr_hugepages; 16 a worker): receive buffers lie in transparent ones, as far as the kernel grants them");
  else spdlog::warn("no huge pages are to be had (vm.nr_hugepages; transparent_hugepage): receive buffers lie in small ones");
}

void Dataplane::AbandonWorkers() {
  for (size_t i = 0; i < threads_.size(); ++i) {
    shared_[i]->stop_timeout_ms = 0;
    shared_[i]->stop = true;
    threads_[i]->Wake();
  }
  threads_.clear();
}

// The last moment at which the dataplane before this one can still go on: the workers stand ready, the snapshot is a good one.
// From its "left" on it accepts nothing, and what comes waits in the sockets until Begin() has given them to the workers.
std::optional<int> Dataplane::BecomeSuccessor() {
  if (!inheritance_) return std::nullopt;
  const bool serves = std::any_of(inheritance_->sockets.begin(), inheritance_->sockets.end(),
                                  [](const auto& socket) { return socket.first.protocol != "stats"; });
  absl::Status status = first_ ? Validate(*first_->snapshot) : absl::OkStatus();
  if (!first_ && serves) status = absl::FailedPreconditionError("no snapshot that this release understands, and that one serves");
  if (status.ok()) status = AskToLeave(*inheritance_);
  if (!status.ok()) {
    spdlog::error("cannot take over: {}", std::string(status.message()));
    status_.Say("failed", std::string(status.message()));
    AbandonWorkers();
    return kExitTemporary;
  }
  for (auto& [name, fd] : inheritance_->sockets) {
    if (name.protocol == "stats") stats_->Inherit(name.bind, std::move(fd));
    else builder_->Inherit(name.bind + " " + name.protocol, name.worker, std::move(fd));
  }
  inheritance_.reset();
  return std::nullopt;
}

}  // namespace ringway::dp
