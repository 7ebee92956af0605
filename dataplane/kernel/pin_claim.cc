// See pin_claim.h; flock(2).
#include "dataplane/kernel/pin_claim.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "dataplane/kernel/bpf_error.h"
#include "dataplane/kernel/bpf_link.h"
#include "dataplane/kernel/clsact.h"
#include "dataplane/kernel/network_namespace.h"

namespace ringway::dp {
namespace {

constexpr char kMark[] = "netns-";  // + cookie: a token of that network namespace
constexpr std::chrono::milliseconds kPoll{20};

std::string OwnMark() { return absl::StrCat(kMark, NetnsCookie()); }

// Not a folder that was removed since it was opened.
bool IsStill(int fd, const std::string& folder) {
  struct stat held {}, there {};
  return fstat(fd, &held) == 0 && stat(folder.c_str(), &there) == 0 && held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

// A link that has something to run at; or a filter, of which only its mark is known here.
bool IsAttached(const std::filesystem::path& pin) {
  const std::string name = pin.filename().string();
  if (name.starts_with(kClsact)) return true;
  if (!name.starts_with(kLinkPin)) return false;
  const UniqueFd link(bpf_obj_get(pin.c_str()));
  return link.get() < 0 || IsAttachedAnywhere(link.get());
}

bool AnyAttached(const std::string& folder) {
  std::error_code error;
  std::filesystem::recursive_directory_iterator at(folder, error);
  for (; !error && at != std::filesystem::recursive_directory_iterator(); at.increment(error)) {
    if (IsAttached(at->path())) return true;
  }
  return false;
}

PinHome HomeOf(const PinDirectory& pins) {
  const std::vector<std::string> names = pins.Names();
  const auto mark = std::find_if(names.begin(), names.end(), [](const std::string& name) { return name.starts_with(kMark); });
  if (mark == names.end() || *mark == OwnMark()) return PinHome::kHere;
  const absl::StatusOr<UniqueFd> token = pins.Get(*mark);
  const bool lives = !token.ok() || NetnsLives(token->get());
  return lives && AnyAttached(pins.path()) ? PinHome::kElsewhere : PinHome::kGone;
}

absl::Status Elsewhere(const std::string& folder, const PinWords& words) {
  return absl::FailedPreconditionError(absl::StrCat(
      folder, " (", words.key, ") holds programs that run in another network namespace, without a dataplane at the moment: they are left alone. ",
      "Wanted a folder for each network namespace; to remove them: ", words.removal, " ", folder));
}

}  // namespace

// Aborted: a dataplane has it.
absl::StatusOr<PinClaim> PinClaim::TryTake(const std::string& folder) {
  absl::StatusOr<PinDirectory> pins = PinDirectory::Open(folder);
  if (!pins.ok()) return pins.status();
  UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 && errno != ENOENT) return BpfError(errno, folder);
  if (fd.get() < 0 || flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || !IsStill(fd.get(), folder)) return absl::AbortedError("");
  const PinHome home = HomeOf(*pins);
  return PinClaim(*std::move(pins), std::move(fd), home);
}

absl::StatusOr<PinClaim> PinClaim::TakeToRemove(const std::string& folder, const PinWords& words, std::chrono::milliseconds wait) {
  const auto end = std::chrono::steady_clock::now() + wait;
  while (true) {
    absl::StatusOr<PinClaim> claim = TryTake(folder);
    if (!absl::IsAborted(claim.status())) return claim;
    if (std::chrono::steady_clock::now() >= end) {
      return absl::FailedPreconditionError(absl::StrCat("another dataplane runs with ", folder, " (", words.key, "): wanted a folder for each"));
    }
    std::this_thread::sleep_for(kPoll);
  }
}

absl::StatusOr<PinClaim> PinClaim::Take(const std::string& folder, const PinWords& words, std::chrono::milliseconds wait) {
  const auto end = std::chrono::steady_clock::now() + wait;
  absl::StatusOr<PinClaim> claim = TakeToRemove(folder, words, wait);
  while (claim.ok() && claim->home_ == PinHome::kElsewhere && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(kPoll);
    claim->home_ = HomeOf(claim->pins_);
  }
  if (claim.ok() && claim->home_ == PinHome::kElsewhere) return Elsewhere(folder, words);
  return claim;
}

bool PinClaim::IsFree(const std::string& folder) {
  if (access(folder.c_str(), F_OK) != 0) return false;
  const absl::StatusOr<PinClaim> claim = TryTake(folder);
  return claim.ok() && claim->home_ != PinHome::kElsewhere;
}

absl::Status PinClaim::Mark() {
  const std::string own = OwnMark();
  bool there = false;
  for (const std::string& name : pins_.Names()) {
    if (name == own) there = true;
    else if (!name.starts_with(kMark)) continue;
    else if (absl::Status s = pins_.Unpin(name); !s.ok()) return s;
  }
  home_ = PinHome::kHere;
  if (there) return absl::OkStatus();
  const absl::StatusOr<UniqueFd> token = MakeNetnsToken();
  return token.ok() ? pins_.Pin(token->get(), own) : token.status();
}

void PinClaim::Remove() && {
  for (const std::string& name : pins_.Names()) {
    if (name.starts_with(kMark)) pins_.Unpin(name).IgnoreError();
  }
  rmdir(pins_.path().c_str());  // not while something is in it
  lock_ = UniqueFd();
}

}  // namespace ringway::dp
