// One skeleton from open to destroy. Between Open and Load the caller sets its options (rodata), sizes its maps and says which
// are reused; a program that the verifier refuses leaves its log in FOLDER/NAME.log, for bug reports. Any one thread.
#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/kernel/bpf_error.h"

namespace ringway::dp {

// Where the kernel's verifier and libbpf write while an object is loaded. Its file is there only after a refusal.
class VerifierLog {
 public:
  VerifierLog(std::string folder, std::string name);
  ~VerifierLog();
  VerifierLog(const VerifierLog&) = delete;
  VerifierLog& operator=(const VerifierLog&) = delete;

  bpf_object_open_opts OpenOptions();
  // libbpf's own warnings of this thread go here until Stop.
  void Listen();
  void Stop();
  // Writes the file; returns its path, or "" when the folder cannot be written.
  std::string Keep() const;
  // Nothing to report: removes what an earlier refusal left.
  void Forget() const;
  // The last lines of the verifier, on one: what was wrong.
  std::string LastLine() const;
  const std::string& name() const { return name_; }

 private:
  static constexpr size_t kBytesMax = 16u << 20;  // touched only as far as the verifier writes
  const std::string folder_;
  const std::string name_;
  std::unique_ptr<char[]> kernel_;
  std::string libbpf_;
};

template <typename Skeleton>
class BpfObject {
 public:
  // `name` is the program's, as `ringway capabilities` shows it; `log_folder` is made when needed.
  static absl::StatusOr<BpfObject> Open(const std::string& name, const std::string& log_folder) {
    BpfObject object;
    object.log_ = std::make_unique<VerifierLog>(log_folder, name);
    const bpf_object_open_opts options = object.log_->OpenOptions();
    object.log_->Listen();
    object.skeleton_.reset(Skeleton::open(&options));
    const int error = errno;
    object.log_->Stop();
    if (object.skeleton_ == nullptr) return BpfError(error, name + ": cannot be opened");
    return object;
  }

  absl::Status Load() {
    log_->Listen();
    const int error = Skeleton::load(skeleton_.get());
    log_->Stop();
    if (error == 0) {
      log_->Forget();
      return absl::OkStatus();
    }
    const std::string path = log_->Keep();
    std::string what = log_->name() + ": cannot be loaded";
    if (const std::string line = log_->LastLine(); !line.empty()) what += " (" + line + ")";
    if (!path.empty()) what += "; verifier log: " + path;
    return BpfError(error, what);
  }

  Skeleton* operator->() const { return skeleton_.get(); }
  Skeleton* get() const { return skeleton_.get(); }

 private:
  struct Destroy {
    void operator()(Skeleton* skeleton) const { Skeleton::destroy(skeleton); }
  };
  std::unique_ptr<VerifierLog> log_;  // outlives the skeleton, which points into it
  std::unique_ptr<Skeleton, Destroy> skeleton_;
};

}  // namespace ringway::dp
