// See access_log.h. First what the main thread does, then the thread's loop and its steps.
#include "dataplane/access_log/access_log.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/log/log.h"
#include "common/privileges/privileges.h"

namespace ringway::dp {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kPendingMax = 1u << 20;  // of lines that wait for the file
constexpr size_t kWriteAt = 64u << 10;
constexpr uint32_t kBatch = 64;  // records while the names are held
constexpr milliseconds kWaitMin{10};  // of kAccessRingBytes a tenth, at 100,000 requests a second
constexpr milliseconds kWaitMax{50};
constexpr milliseconds kLookEvery{1000};  // at the path, and for a file that could not be opened
constexpr int kSlowReaderMs = 20;
constexpr milliseconds kQuietAfter{10000};  // an episode of drops is over when none came for so long

int64_t UnixUsAtZero() {
  timespec wall, steady;
  clock_gettime(CLOCK_REALTIME, &wall);
  clock_gettime(CLOCK_MONOTONIC, &steady);
  const auto us = [](const timespec& t) { return int64_t{t.tv_sec} * 1000000 + t.tv_nsec / 1000; };
  return us(wall) - us(steady);
}

void Add(std::atomic<uint64_t>& counter, uint64_t n) { counter.fetch_add(n, std::memory_order_relaxed); }

}  // namespace

struct AccessLog::Shared {
  explicit Shared(std::vector<WorkerShared*> all, const HandleNames& handle_names) : workers(std::move(all)), names(handle_names) {}

  // The thread's.
  void Main();
  void Adopt();
  void Look();
  bool Drain();
  void Take(AccessRing& ring, const HandleNames::Reader& reader);
  void Flush(int wait_ms);
  void NoteTrouble(const std::string& what);
  void NoteWritten();
  void JudgeDrops();
  uint64_t DroppedByWorkers() const;

  const std::vector<WorkerShared*> workers;
  const HandleNames& names;
  std::vector<std::unique_ptr<PortMemory>> ports;  // made before the thread

  // Between the threads.
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::condition_variable done;
  api::AccessLog wanted;
  bool used = false;
  bool reopen = false;
  bool stop = false;
  bool finished = false;
  Clock::time_point stop_by;
  std::string trouble;
  std::atomic<uint64_t> written{0}, written_bytes{0}, dropped_output{0};

  // The thread's alone.
  std::unique_ptr<LogFile> file;
  api::AccessFormat format = api::AccessFormat::kJson;
  LineWriter writer;
  std::string pending;
  uint64_t pending_lines = 0;
  bool torn = false;  // the first line of `pending` has been written in part
  int64_t unix_us_at_zero = 0;
  Clock::time_point look_at{};
  bool failing = false;
  uint64_t dropped_before = 0;  // when it began to fail
  uint64_t ring_told = 0, ring_seen = 0;
  bool ring_dropping = false;
  Clock::time_point ring_dropped_at{};
};

AccessLog::AccessLog(std::vector<WorkerShared*> workers, uint32_t exchanges, const HandleNames& names)
    : shared_(std::make_unique<Shared>(std::move(workers), names)), exchanges_(exchanges) {}

AccessLog::~AccessLog() = default;

void AccessLog::Configure(const api::Snapshot& snapshot) {
  const bool used = std::any_of(snapshot.listeners.begin(), snapshot.listeners.end(), [](const api::Listener& l) { return l.access_log; });
  {
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    shared_->used = used;
    shared_->wanted = snapshot.access_log;
  }
  shared_->changed.notify_one();
  if (!used || thread_.joinable() || failed_) return;
  for (size_t i = 0; i < shared_->workers.size(); ++i) {
    auto memory = PortMemory::Make(exchanges_);
    if (!memory.ok()) {
      failed_ = true;
      spdlog::error("no access log: {}", std::string(memory.status().message()));
      const std::lock_guard<std::mutex> lock(shared_->mutex);
      shared_->trouble = std::string(memory.status().message());
      return;
    }
    shared_->ports.push_back(*std::move(memory));
  }
  for (size_t i = 0; i < shared_->workers.size(); ++i) shared_->workers[i]->access.store(&shared_->ports[i]->port(), std::memory_order_release);
  thread_ = std::thread([this] { shared_->Main(); });
  pthread_setname_np(thread_.native_handle(), "access-log");
}

void AccessLog::Reopen() {
  const std::lock_guard<std::mutex> lock(shared_->mutex);
  shared_->reopen = true;
  shared_->changed.notify_one();
}

bool AccessLog::Stop(milliseconds limit) {
  if (!thread_.joinable()) return true;
  std::unique_lock<std::mutex> lock(shared_->mutex);
  shared_->stop = true;
  shared_->stop_by = Clock::now() + limit;
  shared_->changed.notify_one();
  const bool finished = shared_->done.wait_for(lock, limit + milliseconds(500), [this] { return shared_->finished; });
  lock.unlock();
  if (finished) thread_.join();
  else spdlog::error("access log {}: a write hangs, what was not written is lost", shared_->wanted.path);
  return finished;
}

AccessLogStatus AccessLog::Status() const {
  const std::lock_guard<std::mutex> lock(shared_->mutex);
  AccessLogStatus status;
  status.used = shared_->used;
  status.path = shared_->wanted.path;
  status.trouble = shared_->trouble;
  status.written = shared_->written.load(std::memory_order_relaxed);
  status.written_bytes = shared_->written_bytes.load(std::memory_order_relaxed);
  status.dropped_ring = shared_->DroppedByWorkers();
  status.dropped_output = shared_->dropped_output.load(std::memory_order_relaxed);
  return status;
}

void AccessLog::Shared::Main() {
  KeepOnly(kFileCapabilities);
  milliseconds wait = kWaitMin;
  for (bool last = false;;) {
    Adopt();
    if (Clock::now() >= look_at) Look();
    const bool some = Drain();
    JudgeDrops();
    wait = some ? kWaitMin : std::min(wait * 2, kWaitMax);
    std::unique_lock<std::mutex> lock(mutex);
    const bool late = stop && Clock::now() >= stop_by;
    if (last && (pending.empty() || late)) break;
    last = stop;  // one more time: to see what came until then
    if (!stop) changed.wait_for(lock, wait);
  }
  const std::lock_guard<std::mutex> lock(mutex);
  finished = true;
  done.notify_one();
}

// What the config wants now, and orders to open again.
void AccessLog::Shared::Adopt() {
  std::unique_lock<std::mutex> lock(mutex);
  const api::AccessLog now = wanted;
  const bool again = std::exchange(reopen, false);
  lock.unlock();
  format = now.format;
  if (file != nullptr && file->path() == now.path && !again) return;
  if (file != nullptr) Flush(0);  // the old one gets what was meant for it, as far as it takes it
  if (file == nullptr || file->path() != now.path) file = std::make_unique<LogFile>(now.path);
  else file->Close();
  look_at = Clock::now();
}

void AccessLog::Shared::Look() {
  look_at = Clock::now() + kLookEvery;
  unix_us_at_zero = UnixUsAtZero();
  if (file->Moved()) {
    Flush(0);
    file->Close();
  }
  if (file->open()) return;
  if (torn) {  // the rest of a line of another file
    pending.erase(0, std::min(pending.find('\n'), pending.size() - 1) + 1);
    --pending_lines;
    Add(dropped_output, 1);
    torn = false;
  }
  if (!file->Open()) NoteTrouble(file->error());
}

// Everything that has come becomes lines, written or dropped. True when there was something.
bool AccessLog::Shared::Drain() {
  bool some = false;
  for (bool more = true; more;) {
    more = false;
    for (const auto& memory : ports) {
      AccessRing& ring = memory->port().ring;
      uint32_t size = 0;
      if (ring.Front(size) == nullptr) continue;
      more = some = true;
      const HandleNames::Reader reader(names);
      Take(ring, reader);
    }
    if (pending.size() >= kWriteAt) Flush(0);
    if (more && Clock::now() >= look_at) break;  // new orders are seen, however much comes
  }
  if (!pending.empty()) Flush(kSlowReaderMs);
  return some;
}

void AccessLog::Shared::Take(AccessRing& ring, const HandleNames::Reader& reader) {
  uint32_t size = 0;
  for (uint32_t i = 0; i < kBatch; ++i) {
    const char* data = ring.Front(size);
    if (data == nullptr) return;
    if (pending.size() >= kPendingMax || !file->open()) {
      if (file->open()) NoteTrouble("its reader is too slow");
      Add(dropped_output, 1);
    } else {
      AccessRecord record;
      std::memcpy(&record, data, sizeof record);
      writer.Append(format, record, data + sizeof record, reader, unix_us_at_zero, pending);
      ++pending_lines;
    }
    ring.Pop(size);
  }
}

void AccessLog::Shared::Flush(int wait_ms) {
  if (pending.empty() || !file->open()) return;
  const size_t size = file->Write(pending, wait_ms);
  Add(written_bytes, size);
  if (size == pending.size()) {
    Add(written, pending_lines);
    pending.clear();
    pending_lines = 0;
    torn = false;
    return NoteWritten();
  }
  const auto end = pending.begin() + static_cast<std::ptrdiff_t>(size);
  const auto lines = static_cast<uint64_t>(std::count(pending.begin(), end, '\n'));
  Add(written, lines);
  pending_lines -= lines;
  if (size > 0) torn = pending[size - 1] != '\n';
  pending.erase(pending.begin(), end);
  if (!file->error().empty()) NoteTrouble(file->error());
}

void AccessLog::Shared::NoteTrouble(const std::string& what) {
  if (!std::exchange(failing, true)) {
    dropped_before = dropped_output.load();
    spdlog::error("access log {}: {}; requests are served, lines that cannot be written are dropped and counted", file->path(), what);
  }
  const std::lock_guard<std::mutex> lock(mutex);
  trouble = what;
}

void AccessLog::Shared::NoteWritten() {
  if (!std::exchange(failing, false)) return;
  spdlog::info("access log {}: writing again, {} lines were dropped", file->path(), dropped_output.load() - dropped_before);
  const std::lock_guard<std::mutex> lock(mutex);
  trouble.clear();
}

uint64_t AccessLog::Shared::DroppedByWorkers() const {
  uint64_t sum = 0;
  for (const WorkerShared* worker : workers) sum += worker->counters.worker.access_dropped_total.Get();
  return sum;
}

// One line when workers begin to drop, one when they have stopped.
void AccessLog::Shared::JudgeDrops() {
  const uint64_t now = DroppedByWorkers();
  if (now != ring_seen) {
    ring_dropped_at = Clock::now();
    ring_seen = now;
    if (std::exchange(ring_dropping, true)) return;
    spdlog::warn("access log {}: more requests than can be written, lines are dropped and counted", file->path());
    return;
  }
  if (!ring_dropping || Clock::now() < ring_dropped_at + kQuietAfter) return;
  ring_dropping = false;
  spdlog::info("access log {}: {} lines were dropped because there were more than can be written", file->path(), now - std::exchange(ring_told, now));
}

}  // namespace ringway::dp
