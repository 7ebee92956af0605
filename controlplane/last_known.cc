// See last_known.h.
#include "controlplane/last_known.h"

#include <chrono>
#include <utility>

#include "common/api/feed_json.h"
#include "common/log/log.h"
#include "controlplane/kept_file.h"

namespace ringway::cp {
namespace {

constexpr std::chrono::seconds kWriteEvery{1};

}  // namespace

LastKnown::LastKnown(boost::asio::io_context& io, const std::string& data_dir, std::function<const api::Snapshot&()> current)
    : file_(data_dir + "/last_known.json"), current_(std::move(current)), timer_(io) {}

LastKnown::~LastKnown() {
  if (due_) Write();
}

std::vector<api::Service> LastKnown::Read() const {
  const auto text = ReadKept(file_);
  if (absl::IsNotFound(text.status())) return {};
  const auto message = text.ok() ? api::DecodeMessage(*text) : absl::StatusOr<api::Message>(text.status());
  const auto* snapshot = message.ok() ? std::get_if<api::Snapshot>(&*message) : nullptr;
  if (snapshot != nullptr) return snapshot->services;
  spdlog::warn("{} is damaged, endpoints are not known before the catalog answers: {}", file_,
               message.ok() ? "wanted a snapshot" : std::string(message.status().message()));
  return {};
}

void LastKnown::Changed() {
  if (std::exchange(due_, true)) return;
  timer_.expires_at(written_at_ + kWriteEvery);  // at once after a quiet second: a kill soon after must not cost it
  timer_.async_wait([this, alive = std::weak_ptr<bool>(alive_)](boost::system::error_code error) {
    if (!error && !alive.expired()) Write();
  });
}

void LastKnown::Write() {
  due_ = false;
  written_at_ = std::chrono::steady_clock::now();
  const absl::Status status = WriteKept(file_, api::EncodeMessage(current_()) + "\n", Durability::kWhenever);
  if (status.ok()) {
    failure_told_ = false;
    return;
  }
  Changed();  // again in a second: nothing else may change for hours after the disk has room again
  if (!std::exchange(failure_told_, true)) {
    spdlog::error("{}; a restarted control plane will not know its endpoints before the catalog answers", std::string(status.message()));
  }
}

}  // namespace ringway::cp
