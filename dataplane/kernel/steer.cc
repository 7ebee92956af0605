// See steer.h.
#include "dataplane/kernel/steer.h"

#include <bpf/bpf.h>
#include <steer.skel.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/kernel/bpf_error.h"
#include "dataplane/kernel/bpf_object.h"

namespace ringway::dp {
namespace {

// Cache and wake-up on the CPU that took the packet are worth a little imbalance, not more.
constexpr uint32_t kSlack = 2;

absl::Status FillArray(int array, const std::string& group, const std::vector<int>& sockets) {
  for (uint32_t worker = 0; worker < sockets.size(); ++worker) {
    if (sockets[worker] < 0) continue;
    const uint64_t fd = static_cast<uint64_t>(sockets[worker]);
    if (bpf_map_update_elem(array, &worker, &fd, BPF_ANY) == 0) continue;
    return BpfError(errno, absl::StrCat("steering: socket of worker ", worker, " of ", group));
  }
  return absl::OkStatus();
}

}  // namespace

struct Steering::Group {
  BpfObject<steer_bpf> object;
  int array() const { return bpf_map__fd(object->maps.steer_sockets); }
};

struct Steering::Mapped {
  UniqueFd map;
  void* memory = MAP_FAILED;
  size_t size = 0;
  ~Mapped() {
    if (memory != MAP_FAILED) munmap(memory, size);
  }
  steer_worker* workers() const { return static_cast<steer_worker*>(memory); }
};

Steering::Steering(std::vector<int> cpus, std::string log_folder)
    : cpus_(std::move(cpus)), log_folder_(std::move(log_folder)), load_(std::make_unique<Mapped>()) {}

Steering::~Steering() { ReleaseAll(); }

absl::StatusOr<std::unique_ptr<Steering>> Steering::Start(std::vector<int> cpus, std::string log_folder) {
  if (cpus.empty() || cpus.size() > STEER_WORKERS_MAX) {
    return absl::InvalidArgumentError(absl::StrCat("steering: wanted 1 to ", STEER_WORKERS_MAX, " workers, got ", cpus.size()));
  }
  std::unique_ptr<Steering> steering(new Steering(std::move(cpus), std::move(log_folder)));
  bpf_map_create_opts options{};
  options.sz = sizeof(options);
  options.map_flags = BPF_F_MMAPABLE;
  Mapped& load = *steering->load_;
  load.map = UniqueFd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "steer_load", sizeof(__u32), sizeof(steer_worker), STEER_WORKERS_MAX, &options));
  if (load.map.get() < 0) return BpfError(errno, "steering: the workers' loads");
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  load.size = (sizeof(steer_worker) * STEER_WORKERS_MAX + page - 1) / page * page;
  load.memory = mmap(nullptr, load.size, PROT_READ | PROT_WRITE, MAP_SHARED, load.map.get(), 0);
  if (load.memory == MAP_FAILED) return BpfError(errno, "steering: mmap of the workers' loads");
  return steering;
}

std::atomic<uint64_t>* Steering::SessionsOf(uint32_t worker) const {
  static_assert(sizeof(std::atomic<uint64_t>) == sizeof(uint64_t) && std::atomic<uint64_t>::is_always_lock_free);
  return reinterpret_cast<std::atomic<uint64_t>*>(&load_->workers()[worker].sessions);
}

void Steering::PreferLocal(bool local) {
  if (std::exchange(local_, local) != local) ReleaseAll();
}

bool Steering::AnyPinned() const {
  return std::any_of(cpus_.begin(), cpus_.end(), [](int cpu) { return cpu >= 0; });
}

absl::Status Steering::Steer(const std::string& name, const std::vector<int>& sockets) {
  Release(name);
  absl::StatusOr<BpfObject<steer_bpf>> opened = BpfObject<steer_bpf>::Open("steer", log_folder_);
  if (!opened.ok()) return opened.status();
  auto group = std::make_unique<Group>(Group{*std::move(opened)});
  steer_options& options = const_cast<steer_options&>(group->object->rodata->options);
  options.workers = static_cast<__u32>(cpus_.size());
  options.slack = kSlack;
  for (size_t i = 0; i < cpus_.size(); ++i) {
    const bool listens = i < sockets.size() && sockets[i] >= 0;
    options.worker_cpu[i] = !listens ? STEER_NO_SOCKET : local_ ? static_cast<__u16>(cpus_[i] + 1) : 0;
  }
  if (const int error = bpf_map__reuse_fd(group->object->maps.steer_load, load_->map.get()); error != 0) return BpfError(error, "steering");
  if (absl::Status s = group->object.Load(); !s.ok()) return s;
  if (absl::Status s = FillArray(group->array(), name, sockets); !s.ok()) return s;
  const int program = bpf_program__fd(group->object->progs.steer);
  const auto any = std::find_if(sockets.begin(), sockets.end(), [](int fd) { return fd >= 0; });
  if (any == sockets.end()) return absl::InvalidArgumentError(absl::StrCat("steering: ", name, " has no socket"));
  if (setsockopt(*any, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program, sizeof(program)) != 0) {
    return BpfError(errno, absl::StrCat("steering: attach to ", name));
  }
  groups_[name] = std::move(group);
  return absl::OkStatus();
}

// Without sockets in its array the program leaves the choice to the kernel, so there is no moment without one.
void Steering::Release(const std::string& name, int socket) {
  const auto found = groups_.find(name);
  if (found == groups_.end()) return;
  const int none = 0;
  if (socket >= 0) setsockopt(socket, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &none, sizeof(none));
  for (uint32_t worker = 0; worker < cpus_.size(); ++worker) bpf_map_delete_elem(found->second->array(), &worker);
  AddCounts(*found->second, counted_);
  groups_.erase(found);
}

void Steering::ReleaseAll() {
  while (!groups_.empty()) Release(groups_.begin()->first);
}

void Steering::ReleaseOthers(const std::set<std::string>& kept) {
  for (auto it = groups_.begin(); it != groups_.end();) {
    const std::string name = (it++)->first;
    if (!kept.contains(name)) Release(name);
  }
}

// What has been pending at every one of the last looks is not a connection on its way.
void Steering::Tick() {
  std::vector<uint32_t> pending;
  for (size_t i = 0; i < cpus_.size(); ++i) {
    const uint64_t sessions = SessionsOf(static_cast<uint32_t>(i))->load(std::memory_order_relaxed);
    const auto ahead = static_cast<int32_t>(Given(i).load(std::memory_order_relaxed) - static_cast<uint32_t>(sessions >> 32));
    // Taken before it was steered, or by the kernel's choice.
    if (ahead < 0) Given(i).fetch_add(0u - static_cast<uint32_t>(ahead), std::memory_order_relaxed);
    pending.push_back(static_cast<uint32_t>(std::max(ahead, 0)));
  }
  pending_.push_back(pending);
  if (pending_.size() <= kStaleTicks) return;
  pending_.pop_front();
  for (size_t i = 0; i < cpus_.size(); ++i) {
    uint32_t least = ~0u;
    for (const std::vector<uint32_t>& tick : pending_) least = std::min(least, tick[i]);
    if (least == 0) continue;
    Given(i).fetch_sub(least, std::memory_order_relaxed);
    for (std::vector<uint32_t>& tick : pending_) tick[i] -= least;
  }
}

std::atomic_ref<uint32_t> Steering::Given(size_t worker) const { return std::atomic_ref<uint32_t>(load_->workers()[worker].given); }

std::array<uint64_t, STEER_REASONS> Steering::Counts() const {
  std::array<uint64_t, STEER_REASONS> counts = counted_;
  for (const auto& [name, group] : groups_) AddCounts(*group, counts);
  return counts;
}

void Steering::AddCounts(const Group& group, std::array<uint64_t, STEER_REASONS>& counts) {
  std::vector<uint64_t> cpus(static_cast<size_t>(std::max(libbpf_num_possible_cpus(), 1)));
  for (uint32_t reason = 0; reason < STEER_REASONS; ++reason) {
    if (bpf_map_lookup_elem(bpf_map__fd(group.object->maps.steer_reasons), &reason, cpus.data()) != 0) continue;
    for (const uint64_t count : cpus) counts[reason] += count;
  }
}

}  // namespace ringway::dp
