// See feed_state.h.
#include "controlplane/feed_state.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>
#include <sstream>

#include "absl/strings/str_format.h"
#include "common/log/log.h"

namespace ringway::cp {
namespace {

absl::Status Failed(const std::string& file, const char* what) {
  return absl::UnavailableError(file + ": cannot " + what + ": " + std::strerror(errno));
}

// Whole or not at all, and on the disk when it returns.
absl::Status WriteWhole(const std::string& file, const std::string& text) {
  const std::string draft = file + ".new";
  const int out = open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (out < 0) return Failed(draft, "create");
  const bool written = write(out, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(out) == 0;
  const absl::Status status = written ? absl::OkStatus() : Failed(draft, "write");
  close(out);
  if (!status.ok()) return status;
  return rename(draft.c_str(), file.c_str()) == 0 ? absl::OkStatus() : Failed(file, "rename");
}

}  // namespace

FeedState::FeedState(const std::string& data_dir) : file_(data_dir + "/feed_state.json") {
  std::ifstream stream(file_);
  std::ostringstream text;
  text << stream.rdbuf();
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(text.str(), error);
  if (!error && value.is_object() && value.get_object().contains("epoch") && value.at("epoch").is_string() &&
      value.get_object().contains("reserved") && value.at("reserved").is_int64()) {
    epoch_ = std::string(value.at("epoch").get_string());
    version_ = static_cast<uint64_t>(value.at("reserved").get_int64());
  } else {
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
  const absl::Status status = WriteWhole(file_, boost::json::serialize(value) + "\n");
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
