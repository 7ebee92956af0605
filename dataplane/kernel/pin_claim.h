// A pin folder in the hands of one dataplane: a lock, and a mark in it that says in which network namespace its programs are
// attached (docs/adr/0007). The lock ends with the process. The mark stays as long as what is pinned, so that a dataplane of
// another namespace does not take programs for its own by the number of an interface. Main thread.
#pragma once

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/feed/listener_sockets.h"
#include "dataplane/kernel/pin_directory.h"

namespace ringway::dp {

// Where what is pinned was attached.
enum class PinHome {
  kHere,       // in this network namespace, or nothing is known: an empty folder, one of a release without marks
  kGone,       // in one that has ended, or nothing is attached there any more
  kElsewhere,  // in one that lives
};

// What an operator is told to do.
struct PinWords {
  std::string key;      // of the config, "packet.pin_dir"
  std::string removal;  // a command, before the folder
};

class PinClaim {
 public:
  // Makes the folder when it is not there. Waits so long for a dataplane that leaves, or for a namespace that ends.
  // FailedPrecondition: another dataplane runs with the folder; or none does, and it is kElsewhere.
  static absl::StatusOr<PinClaim> Take(const std::string& folder, const PinWords& words, std::chrono::milliseconds wait);
  // Whatever its home is, to remove what stands in it.
  static absl::StatusOr<PinClaim> TakeToRemove(const std::string& folder, const PinWords& words, std::chrono::milliseconds wait);
  // It is there, and Take would have it now.
  static bool IsFree(const std::string& folder);

  PinHome home() const { return home_; }
  // From now on kHere. Comes before anything is attached.
  absl::Status Mark();
  // Gives it back, without the mark, and without the folder if that is empty then.
  void Remove() &&;

 private:
  PinClaim(PinDirectory pins, UniqueFd lock, PinHome home) : pins_(std::move(pins)), lock_(std::move(lock)), home_(home) {}
  static absl::StatusOr<PinClaim> TryTake(const std::string& folder);

  PinDirectory pins_;
  UniqueFd lock_;
  PinHome home_;
};

}  // namespace ringway::dp
