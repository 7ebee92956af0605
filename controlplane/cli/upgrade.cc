// Changing the dataplane without a reset, within one `ringway up` and from one to the next; see supervisor.h and
// docs/operating/upgrade.md.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log/log.h"
#include "controlplane/cli/supervisor.h"

namespace ringway::cp {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

constexpr milliseconds kLockEvery{200};
constexpr milliseconds kReplaceTimeout{20000};

}  // namespace

void Supervisor::OnStatus() {
  if (data_.ReadStatus()) OnDataStatus();
  for (Child& child : leaving_) child.ReadStatus();
  if (next_ && next_->ReadStatus()) OnNextStatus();
}

void Supervisor::OnDataStatus() {
  if (data_.word == "leaving") {
    if (next_) return Promote();
    spdlog::warn("the dataplane, process {}, has handed over to a process that this one has not started", data_.pid);
    RetireData();
    data_.start_at = Clock::now() + Child::kBackOffMax;
    handed_away_ = taking_over_ = true;
    return;
  }
  ever_served_ |= data_.word == "serving";
  if (AwaitsTakeOver() && data_.settled()) ReplaceOther();
  if (upgrade_ && data_.settled()) RestartControl();
}

void Supervisor::OnRequest(const json::object& request, uint64_t client) {
  const auto text = [&request](const char* key) {
    const json::value* value = request.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
  };
  const json::value* timeout = request.if_contains("timeout_ms");
  const std::string command = text("command");
  if (command == "status") {
    return socket_.Answer(client, {{"ok", true}, {"pid", getpid()}, {"dataplane", data_.pid}, {"controlplane", control_.pid},
                                   {"config", plan_.config}, {"leaving", leaving_.size()}});
  }
  const bool busy = upgrade_ || replaced_ || stopping_;
  if (busy) {
    return socket_.Answer(client, {{"ok", false}, {"words", stopping_ || replaced_ ? "it is stopping" : "an upgrade is under way already"}});
  }
  if (command == "upgrade") {
    const bool given = timeout != nullptr && timeout->is_int64() && timeout->get_int64() > 0;
    return BeginUpgrade(client, given ? milliseconds(timeout->get_int64()) : kTakeOver);
  }
  if (command == "replace") return BeReplaced(client);
  socket_.Answer(client, {{"ok", false}, {"words", "the command '" + command + "' is not known to this release"}});
}

void Supervisor::BeginUpgrade(uint64_t client, milliseconds timeout) {
  upgrade_ = Upgrade{client, Clock::now() + timeout};
  if (!data_.running()) {  // between two starts: the next one is of the new program anyway
    spdlog::info("upgrade: no dataplane runs; starting the one on disk");
    data_.start_at = Clock::now();
    handed_away_ = false;
    return;
  }
  spdlog::info("upgrade: starting {} to take over from process {}", data_.program.arguments[0], data_.pid);
  next_.emplace(plan_.data);
  if (next_->Start(old_mask_, {"--take-over"})) return;
  next_.reset();
  FailUpgrade("the new dataplane cannot be started");
}

void Supervisor::OnNextStatus() {
  // It serves only after the other one has left, or found nobody there.
  if (next_->word == "serving") Promote();
}

void Supervisor::OnNextExit(int status) {
  const std::string why = next_->reason.empty() ? HowItEnded(status) : next_->reason;
  next_.reset();
  if (stopping_) return;
  if (data_.running()) return FailUpgrade(absl::StrCat("the new dataplane has not taken over: ", why, "; process ", data_.pid, " goes on serving"));
  data_.start_at = Clock::now();
  FailUpgrade("the new dataplane has not taken over: " + why + "; the old one has ended meanwhile and is started again");
}

// The new one has the listening sockets; or it has opened its own, where the one before could not be asked for them (it was still
// starting, or its socket is gone): two must not serve for ever side by side.
void Supervisor::Promote() {
  data_.ReadStatus();
  if (data_.running() && data_.word != "leaving") {
    spdlog::warn("the dataplane, process {}, has handed nothing over: it is told to stop, beside its successor", data_.pid);
    data_.Signal(SIGTERM);
  }
  RetireData();
  data_ = *std::exchange(next_, std::nullopt);
  ever_served_ |= data_.word == "serving";
  if (data_.settled()) RestartControl();
}

void Supervisor::RetireData() {
  if (data_.running()) leaving_.push_back(std::move(data_));
  data_ = Child(plan_.data);
}

// The dataplane outlives it. It is started again as soon as it has stopped; the upgrade ends with its start.
void Supervisor::RestartControl() {
  if (control_restarts_ || stopping_) return;
  if (!control_.running()) {
    control_.start_at = Clock::now();
    return;
  }
  control_restarts_ = true;
  control_.Signal(SIGTERM);
  kill_at_ = Clock::now() + control_.program.stop_wait;
}

// Called at each start of the control plane.
void Supervisor::FinishUpgrade() {
  if (!upgrade_ || next_ || !data_.settled()) return;
  std::string words = absl::StrCat("the dataplane is process ", data_.pid, " now, the control plane process ", control_.pid);
  if (!leaving_.empty()) absl::StrAppend(&words, "; process ", leaving_.back().pid, " ends its sessions");
  spdlog::info("upgrade: {}", words);
  socket_.Answer(upgrade_->client, {{"ok", true}, {"words", words}, {"dataplane", data_.pid}, {"controlplane", control_.pid}});
  upgrade_.reset();
}

void Supervisor::FailUpgrade(const std::string& words) {
  if (!upgrade_) return;
  spdlog::error("upgrade: {}", words);
  socket_.Answer(upgrade_->client, {{"ok", false}, {"words", words}, {"dataplane", data_.pid}});
  upgrade_.reset();
}

void Supervisor::CheckDeadline() {
  if (AwaitsTakeOver() && data_.running() && !data_.settled() && Clock::now() >= data_.started_at + kTakeOver) data_.Signal(SIGKILL);
  if (!upgrade_ || Clock::now() < upgrade_->deadline) return;
  if (!next_) return FailUpgrade(absl::StrCat("process ", data_.pid, " has the listening sockets, but the upgrade is not over in time"));
  next_->Signal(SIGKILL);
  next_->reason = "it was not ready in time and was killed";
  upgrade_->deadline = Clock::time_point::max();  // its exit ends the upgrade
}

// Another `ringway up` has taken the dataplane's sockets: its control plane gets the run directory, and this process only waits for
// the last session.
void Supervisor::BeReplaced(uint64_t client) {
  OnStatus();
  spdlog::info("another `ringway up` takes the place of this one");
  replaced_ = true;
  replaced_by_ = client;
  if (data_.running()) data_.Signal(SIGTERM);  // one that was started meanwhile
  if (!control_.running()) return FinishReplaced();
  control_.Signal(SIGTERM);
  kill_at_ = Clock::now() + control_.program.stop_wait;
}

void Supervisor::FinishReplaced() {
  kill_at_ = Clock::time_point::max();
  if (!replaced_by_) return;
  const uint64_t client = *std::exchange(replaced_by_, std::nullopt);
  spdlog::info("replaced; waiting for the sessions of {} dataplanes to end", leaving_.size());
  socket_.Answer(client, {{"ok", true}, {"words", "replaced"}, {"pid", getpid()}});
  socket_.Close();
  lock_.Release();
}

// Our dataplane has the sockets: the other `ringway up` may go. One that refuses, being busy with an upgrade, is asked again.
void Supervisor::ReplaceOther() {
  const auto answer = AskUp(plan_.run_dir, {{"command", "replace"}}, kReplaceTimeout);
  if (!answer.ok()) spdlog::warn("the other `ringway up` does not answer ({}); waiting for it to end", std::string(answer.status().message()));
  const bool refuses = answer.ok() && !IsOk(*answer);
  if (refuses && !std::exchange(other_refuses_, refuses)) spdlog::warn("the other `ringway up` refuses to go: {}; asking again", json::serialize(*answer));
  other_refuses_ = refuses;
  TakeLock();
}

// A dataplane listens on handover.sock. It is not disturbed: for a socket of another type the answer is EPROTOTYPE where one listens,
// ECONNREFUSED or ENOENT where none does (unix(7)).
bool Supervisor::SuccessorListens() const {
  const std::string path = plan_.run_dir + "/handover.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  const bool refused = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 && (errno == ECONNREFUSED || errno == ENOENT);
  close(fd);
  return !refused;
}

void Supervisor::TakeLock() {
  if (plan_.run_dir.empty()) return;
  if (!lock_.held()) {
    absl::StatusOr<UpLock> lock = UpLock::Take(plan_.run_dir);
    lock_at_ = Clock::now() + kLockEvery;
    if (!lock.ok()) return;
    lock_ = *std::move(lock);
    spdlog::info("this `ringway up` has the run directory {} now", plan_.run_dir);
  }
  lock_at_ = Clock::time_point::max();
  if (plan_.replaces) control_.start_at = Clock::now();
  const absl::Status status = socket_.Listen(plan_.run_dir + "/up.sock", [this](const json::object& request, uint64_t client) { OnRequest(request, client); });
  if (!status.ok()) spdlog::error("`ringway upgrade` will not work: {}", std::string(status.message()));
}

}  // namespace ringway::cp
