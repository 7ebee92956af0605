// The last deltas as finished frames, so that a dataplane that comes back a little behind gets only what it missed.
// Bounded by count and bytes; a whole snapshot (config change) breaks the chain and empties it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ringway::cp {

using SharedFrame = std::shared_ptr<const std::string>;

class DeltaHistory {
 public:
  explicit DeltaHistory(size_t deltas_max = 256, size_t bytes_max = 16u << 20) : deltas_max_(deltas_max), bytes_max_(bytes_max) {}

  void Add(uint64_t from_version, uint64_t version, SharedFrame frame) {
    if (!deltas_.empty() && deltas_.back().version != from_version) Clear();
    bytes_ += frame->size();
    deltas_.push_back({from_version, version, std::move(frame)});
    while (deltas_.size() > deltas_max_ || bytes_ > bytes_max_) {
      bytes_ -= deltas_.front().frame->size();
      deltas_.pop_front();
    }
  }

  void Clear() {
    deltas_.clear();
    bytes_ = 0;
  }

  // The frames that lead from `version` to now; nullopt when the chain does not reach back that far.
  std::optional<std::vector<SharedFrame>> Since(uint64_t version) const {
    std::optional<std::vector<SharedFrame>> chain;
    for (const Kept& delta : deltas_) {
      if (delta.from_version == version) chain.emplace();
      if (chain) chain->push_back(delta.frame);
    }
    return chain;
  }

  size_t size() const { return deltas_.size(); }

 private:
  struct Kept {
    uint64_t from_version;
    uint64_t version;
    SharedFrame frame;
  };
  const size_t deltas_max_;
  const size_t bytes_max_;
  std::deque<Kept> deltas_;
  size_t bytes_ = 0;
};

}  // namespace ringway::cp
