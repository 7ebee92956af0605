#include "dataplane/uring/worker_thread.h"

#include <pthread.h>
#include <sched.h>

#include <cstring>
#include <future>
#include <string>
#include <thread>

#include "common/privileges/privileges.h"
#include "dataplane/core/worker.h"

namespace ringway::dp {
namespace {

// A type of this file alone: the compiler then knows every call of the Worker's functions, and puts into one another what is
// called once (docs/adr/0012).
class RingIo : public UringIo {};

class Thread : public WorkerThread {
 public:
  Thread(const WorkerThreadOptions& options, WorkerShared& shared) : options_(options), shared_(shared) {}
  ~Thread() override {
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Start() {
    std::promise<absl::Status> started;
    std::future<absl::Status> result = started.get_future();
    thread_ = std::thread([this, &started] { Main(started); });
    pthread_setname_np(thread_.native_handle(), ("worker-" + std::to_string(options_.index)).c_str());
    return result.get();
  }

  void Wake() override { io_->Wake(); }

 private:
  // Before any memory is made: what this thread touches first then lies near its CPU.
  absl::Status Pin() {
    if (options_.cpu < 0) return absl::OkStatus();
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(options_.cpu), &set);
    const int error = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    if (error == 0) return absl::OkStatus();
    return absl::UnavailableError("cannot run on CPU " + std::to_string(options_.cpu) + ": " + std::strerror(error));
  }

  // The ring is made here, on the one thread that may use it. What its memory needs of privileges (CAP_IPC_LOCK) it needs once; who
  // reads what clients send has none.
  void Main(std::promise<absl::Status>& started) {
    if (absl::Status pinned = Pin(); !pinned.ok()) return started.set_value(std::move(pinned));
    io_ = std::make_unique<RingIo>();
    if (absl::Status status = io_->Init(options_.uring); !status.ok()) return started.set_value(std::move(status));
    KeepOnly(kNoCapabilities);
    shared_.cpu.store(options_.cpu);
    shared_.pages.store(static_cast<uint8_t>(io_->pages()));
    WorkerLimits limits;
    limits.sessions_max = options_.sessions_max;
    limits.upstreams_max = options_.upstreams_max;
    limits.files_max = options_.files_max;
    limits.splice = options_.splice && io_->splices();
    shared_.bulk.store(limits.splice ? BulkBy::kSplice : options_.splice ? BulkBy::kCopySpliceRefused : BulkBy::kCopy);
    limits.seed = 0x9e3779b97f4a7c15u * (options_.index + 1) ^ io_->NowUs();
    auto worker = std::make_unique<Worker<RingIo>>(*io_, shared_, options_.index, limits);
    started.set_value(absl::OkStatus());  // `started` is gone after this
    worker->Run();
  }

  const WorkerThreadOptions options_;
  WorkerShared& shared_;
  std::unique_ptr<RingIo> io_;  // lives as long as this, for Wake
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerThread>> WorkerThread::Start(const WorkerThreadOptions& options, WorkerShared& shared) {
  auto thread = std::make_unique<Thread>(options, shared);
  absl::Status status = thread->Start();
  if (!status.ok()) return status;
  return thread;
}

}  // namespace ringway::dp
