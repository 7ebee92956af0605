// See feed_state.h.
#include "controlplane/feed_state.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <limits>
#include <random>

#include "absl/strings/str_format.h"
#include "common/log/log.h"
#include "controlplane/kept_file.h"

namespace ringway::cp {
namespace {

bool Parse(const std::string& text, std::string& epoch, uint64_t& version) {
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(text, error);
  const auto* object = error ? nullptr : value.if_object();
  const auto* name = object == nullptr ? nullptr : object->if_contains("epoch");
  const auto* reserved = object == nullptr ? nullptr : object->if_contains("reserved");
  if (name == nullptr || !name->is_string() || reserved == nullptr || !reserved->is_int64()) return false;
  epoch = std::string(name->get_string());
  version = static_cast<uint64_t>(reserved->get_int64());
  return true;
}

}  // namespace

FeedState::FeedState(const std::string& data_dir) : file_(data_dir + "/feed_state.json") {
  const auto text = ReadKept(file_);
  if (!text.ok() || !Parse(*text, epoch_, version_)) {
    if (!absl::IsNotFound(text.status())) {
      spdlog::warn("feed: {}; versions begin a new epoch", text.ok() ? file_ + " is damaged" : std::string(text.status().message()));
    }
    NewEpoch();
  }
  reserved_ = version_;
  if (const absl::Status status = Reserve(); !status.ok()) {
    problem_ = std::string(status.message());
    NewEpoch();
  }
}

void FeedState::NewEpoch() {
  std::random_device random;
  epoch_ = absl::StrFormat("%08x%08x", random(), random());
  version_ = 0;
  reserved_ = std::numeric_limits<uint64_t>::max();  // nothing is kept; the constructor lowers it when it can write
}

absl::Status FeedState::Reserve() {
  const uint64_t reserved = version_ + kReserve;
  const boost::json::value value = {{"epoch", epoch_}, {"reserved", static_cast<int64_t>(reserved)}};
  const absl::Status status = WriteKept(file_, boost::json::serialize(value) + "\n", Durability::kOnDisk);
  if (status.ok()) reserved_ = reserved;
  return status;
}

uint64_t FeedState::NextVersion() {
  if (version_ == reserved_) {
    if (const absl::Status status = Reserve(); !status.ok()) {
      spdlog::error("feed: {}; versions begin a new epoch", std::string(status.message()));
      problem_ = std::string(status.message());
      NewEpoch();
    }
  }
  return ++version_;
}

}  // namespace ringway::cp
