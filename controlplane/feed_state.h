// The feed's epoch and version over restarts, in DATA_DIR/feed_state.json. Versions are reserved a thousand at a time, so that
// the disk is written once in a thousand changes and a killed control plane still never gives a version twice. Where nothing
// can be written, each life of the control plane is an epoch of its own. Control plane's thread; blocking, rare writes.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace ringway::cp {

class FeedState {
 public:
  static constexpr uint64_t kReserve = 1000;

  // Never fails: what is missing or unreadable begins a new epoch, and problem() says why.
  explicit FeedState(const std::string& data_dir);

  const std::string& epoch() const { return epoch_; }
  const std::string& problem() const { return problem_; }
  // A version greater than every one given before in epoch(). May begin a new epoch when the disk refuses: ask epoch() after.
  uint64_t NextVersion();

 private:
  void NewEpoch();
  absl::Status Reserve();

  const std::string file_;
  std::string epoch_;
  std::string problem_;
  uint64_t version_ = 0;
  uint64_t reserved_ = 0;  // versions up to here may be given without writing
};

}  // namespace ringway::cp
