// See connect.h.
#include "dataplane/kernel/connect.h"

#include <bpf/bpf.h>
#include <connect.skel.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/log/log.h"
#include "dataplane/feed/address.h"
#include "dataplane/kernel/bpf_link.h"
#include "dataplane/kernel/bpf_object.h"
#include "dataplane/kernel/connect_table.h"
#include "dataplane/kernel/network_namespace.h"

namespace ringway::dp {

struct ConnectDelivery::Programs {
  BpfObject<connect_bpf> object;
  int services() const { return bpf_map__fd(object->maps.connect_services); }
  int slots() const { return bpf_map__fd(object->maps.connect_slots); }
  int ready() const { return bpf_map__fd(object->maps.connect_ready); }
  int counters() const { return bpf_map__fd(object->maps.connect_counters); }
};

namespace {

struct Hook {
  const char* program;
  bpf_attach_type type;
  bool udp;  // wanted only by services over UDP
};

constexpr Hook kHooks[] = {
    {"released", BPF_CGROUP_INET_SOCK_RELEASE, false},  // first, so that nothing opens uncounted
    {"getpeername4", BPF_CGROUP_INET4_GETPEERNAME, false},
    {"getpeername6", BPF_CGROUP_INET6_GETPEERNAME, false},
    {"recvmsg4", BPF_CGROUP_UDP4_RECVMSG, true},
    {"recvmsg6", BPF_CGROUP_UDP6_RECVMSG, true},
    {"sendmsg4", BPF_CGROUP_UDP4_SENDMSG, true},
    {"sendmsg6", BPF_CGROUP_UDP6_SENDMSG, true},
    {"connect4", BPF_CGROUP_INET4_CONNECT, false},
    {"connect6", BPF_CGROUP_INET6_CONNECT, false},
};

const PinWords kWords{"connect.pin_dir", "rm -r"};
constexpr uint32_t kRetryWaitMax = 32;  // ticks

// A map of another ABI is another map: both are there until the links lead to the new one.
std::string MapPin(const bpf_map* map) { return absl::StrCat("v", CONNECT_ABI, "-", bpf_map__name(map)); }

std::string LinkPin(uint64_t cgroup, const char* program) { return absl::StrCat(kLinkPin, cgroup, "-", program); }

// FNV-1a: the same in every process and release, because pinned maps are keyed by it.
uint64_t StableId(std::string_view text) {
  uint64_t hash = 14695981039346656037ull;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211ull;
  return hash | 1;  // 0 is "none"
}

uint64_t ServiceId(const std::string& name) { return StableId("service " + name); }

void CopyAddress(const IpAddress& address, __u32 (&ip)[4]) {
  uint8_t bytes[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (address.v6) std::memcpy(bytes, address.bytes.data(), 16);
  else std::memcpy(bytes + 12, address.bytes.data(), 4);
  std::memcpy(ip, bytes, sizeof(bytes));
}

connect_key KeyOf(const ConnectService& service, const IpAddress& address) {
  connect_key key{};
  CopyAddress(address, key.ip);
  key.port = htons(address.port);
  key.protocol = service.udp ? IPPROTO_UDP : IPPROTO_TCP;
  return key;
}

connect_endpoint EndpointOf(const ConnectTarget& target) {
  connect_endpoint endpoint{};
  endpoint.id = StableId(target.identity);
  CopyAddress(target.address, endpoint.ip);
  endpoint.port = htons(target.address.port);
  endpoint.weight = static_cast<__u16>(std::clamp(target.weight, 1u, 65535u));
  return endpoint;
}

bool IsLoopback(const IpAddress& address) {
  if (!address.v6) return address.bytes[0] == 127;
  return std::all_of(address.bytes.begin(), address.bytes.end() - 1, [](uint8_t b) { return b == 0; }) && address.bytes[15] == 1;
}

// A loopback address means another thing in each network namespace.
bool OnlyHere(const ConnectService& service, const IpAddress& address) {
  return IsLoopback(address) ||
         std::any_of(service.ready.begin(), service.ready.end(), [](const ConnectTarget& t) { return IsLoopback(t.address); });
}

uint64_t UnixNanoseconds() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

absl::Status DropPin(const PinDirectory& pins, const std::string& name) {
  return name.starts_with(kLinkPin) ? DropPinnedLink(pins, name) : pins.Unpin(name);
}

template <typename Key>
std::vector<Key> KeysOf(int map) {
  std::vector<Key> keys;
  Key key{};
  const Key* previous = nullptr;
  while (bpf_map_get_next_key(map, previous, &key) == 0) {
    keys.push_back(key);
    previous = &keys.back();
  }
  return keys;
}

}  // namespace

ConnectDelivery::ConnectDelivery(PinClaim claim, std::unique_ptr<Programs> programs, PinDirectory pins)
    : claim_(std::move(claim)), programs_(std::move(programs)), pins_(std::move(pins)), netns_(NetnsCookie()) {
  for (const uint64_t id : KeysOf<uint64_t>(programs_->counters())) leaving_.insert(id);
  for (const uint64_t id : KeysOf<uint64_t>(programs_->ready())) ready_.insert(id);
}

ConnectDelivery::~ConnectDelivery() = default;

absl::StatusOr<std::unique_ptr<ConnectDelivery>> ConnectDelivery::Start(const std::string& pin_folder, const std::string& log_folder) {
  absl::StatusOr<PinClaim> claim = PinClaim::Take(pin_folder, kWords, {});
  if (!claim.ok()) return claim.status();
  const absl::StatusOr<PinDirectory> pins = PinDirectory::Open(pin_folder);
  if (!pins.ok()) return pins.status();
  absl::StatusOr<BpfObject<connect_bpf>> object = BpfObject<connect_bpf>::Open("connect", log_folder);
  if (!object.ok()) return object.status();
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, (*object)->obj) {
    const std::string path = pins->PathOf(MapPin(map));
    if (const int error = bpf_map__set_pin_path(map, path.c_str()); error != 0) return BpfError(error, path);
  }
  if (absl::Status s = object->Load(); !s.ok()) return s;
  if (absl::Status s = claim->Mark(); !s.ok()) return s;
  return std::unique_ptr<ConnectDelivery>(new ConnectDelivery(*std::move(claim), std::make_unique<Programs>(Programs{*std::move(object)}), *pins));
}

absl::Status ConnectDelivery::Apply(std::vector<ConnectService> services, const std::vector<std::string>& cgroups) {
  services_ = std::move(services);
  cgroups_ = cgroups;
  listed_.clear();
  for (const ConnectService& service : services_) {
    for (const ConnectTarget& target : service.ready) listed_.insert(StableId(target.identity));
    for (const std::string& identity : service.resting) listed_.insert(StableId(identity));
  }
  tables_ = WriteTables();
  retry_in_ = retry_wait_ = 1;
  attached_ = Attach();
  return status();
}

// What cannot be written leaves the table of before in use.
absl::Status ConnectDelivery::WriteTables() {
  absl::Status status = AddReady();
  for (const ConnectService& service : services_) status.Update(Write(service));
  status.Update(RemoveOthers());
  DropUnready();
  slots_old_ = true;
  return status;
}

// Readiness is told before a table names an endpoint, and taken back after the last one that did.
absl::Status ConnectDelivery::AddReady() {
  absl::Status status;
  for (const ConnectService& service : services_) {
    status.Update(AddCounters(ServiceId(service.name)));
    for (const ConnectTarget& target : service.ready) status.Update(AddReady(StableId(target.identity)));
  }
  return status;
}

absl::Status ConnectDelivery::AddReady(uint64_t endpoint) {
  leaving_.erase(endpoint);
  if (ready_.contains(endpoint)) return absl::OkStatus();
  if (absl::Status s = AddCounters(endpoint); !s.ok()) return s;
  const uint64_t yes = 1;
  if (bpf_map_update_elem(programs_->ready(), &endpoint, &yes, BPF_ANY) != 0) return BpfError(errno, "connect: a ready endpoint");
  ready_.insert(endpoint);
  return absl::OkStatus();
}

absl::Status ConnectDelivery::AddCounters(uint64_t id) {
  const connect_counters zero{};
  if (bpf_map_update_elem(programs_->counters(), &id, &zero, BPF_NOEXIST) == 0 || errno == EEXIST) return absl::OkStatus();
  return BpfError(errno, "connect: counters");
}

void ConnectDelivery::DropUnready() {
  absl::flat_hash_set<uint64_t> wanted;
  for (const ConnectService& service : services_) {
    for (const ConnectTarget& target : service.ready) wanted.insert(StableId(target.identity));
  }
  absl::erase_if(ready_, [&](uint64_t id) {
    if (wanted.contains(id)) return false;
    bpf_map_delete_elem(programs_->ready(), &id);
    leaving_.insert(id);
    return true;
  });
}

absl::Status ConnectDelivery::RemoveOthers() {
  absl::Status status;
  for (const connect_key& key : KeysOf<connect_key>(programs_->services())) {
    const auto same = [&key](const ConnectService& service) {
      return std::any_of(service.addresses.begin(), service.addresses.end(), [&](const IpAddress& address) {
        const connect_key other = KeyOf(service, address);
        return std::memcmp(&key, &other, sizeof(key)) == 0;
      });
    };
    if (std::any_of(services_.begin(), services_.end(), same)) continue;
    if (bpf_map_delete_elem(programs_->services(), &key) != 0) status.Update(BpfError(errno, "connect: a service that left"));
  }
  absl::erase_if(known_, [this](const auto& known) {
    return std::none_of(services_.begin(), services_.end(), [&known](const ConnectService& s) { return s.name == known.first; });
  });
  return status;
}

// The slots first, then the entry that leads to them: a connect in between finds the old table whole.
absl::Status ConnectDelivery::Write(const ConnectService& service) {
  const auto known = known_.find(service.name);
  if (known != known_.end() && known->second == service) return absl::OkStatus();
  std::vector<connect_endpoint> endpoints;
  endpoints.reserve(service.ready.size());
  for (const ConnectTarget& target : service.ready) endpoints.push_back(EndpointOf(target));
  generation_ = std::max(generation_ + 1, UnixNanoseconds());
  const uint64_t id = ServiceId(service.name);
  const std::vector<connect_slot> slots = MakeAliasTable(endpoints);
  if (!WriteSlots(id, generation_, slots)) {
    DropOldSlots();  // many changes within a second leave as many tables
    if (!WriteSlots(id, generation_, slots)) return SlotsError(service);
  }
  for (const IpAddress& address : service.addresses) {
    if (absl::Status s = WriteEntry(service, address, generation_); !s.ok()) return s;
  }
  known_[service.name] = service;
  return absl::OkStatus();
}

absl::Status ConnectDelivery::WriteEntry(const ConnectService& service, const IpAddress& address, uint64_t generation) {
  const connect_key key = KeyOf(service, address);
  connect_service entry{};
  if (bpf_map_lookup_elem(programs_->services(), &key, &entry) != 0) entry.cursor = generation;
  entry.id = ServiceId(service.name);
  entry.generation = generation;
  entry.netns = OnlyHere(service, address) ? netns_ : 0;
  entry.slots = static_cast<__u32>(service.ready.size());
  entry.flags = (service.refuse_empty ? CONNECT_REFUSE_EMPTY : 0u) | (service.least_open ? CONNECT_LEAST_OPEN : 0u);
  if (bpf_map_update_elem(programs_->services(), &key, &entry, BPF_ANY) == 0) return absl::OkStatus();
  return BpfError(errno, absl::StrCat("connect: listener ", service.name));
}

// False, with errno, when there is no room or no memory.
bool ConnectDelivery::WriteSlots(uint64_t id, uint64_t generation, const std::vector<connect_slot>& slots) {
  for (size_t i = 0; i < slots.size(); ++i) {
    const connect_slot_key key{id, generation, i};
    if (bpf_map_update_elem(programs_->slots(), &key, &slots[i], BPF_ANY) != 0) return false;
  }
  return true;
}

absl::Status ConnectDelivery::SlotsError(const ConnectService& service) const {
  if (errno != E2BIG) return BpfError(errno, absl::StrCat("connect: listener ", service.name));
  return absl::ResourceExhaustedError(absl::StrCat("connect: listener ", service.name, ": ", service.ready.size(), " ready endpoints are too many: all listeners have ",
                                                   bpf_map__max_entries(programs_->object->maps.connect_slots), " places, and one that changes needs its own twice; clients go by its former ones"));
}

void ConnectDelivery::Tick() {
  if (!tables_.ok() && --retry_in_ == 0) {
    tables_ = WriteTables();
    retry_in_ = retry_wait_ = std::min(retry_wait_ * 2, kRetryWaitMax);
  }
  if (std::exchange(slots_old_, false)) DropOldSlots();
  DropOldCounters();
  attached_ = Attach();
}

// Those that no entry leads to. A connect that is just between the two finds none, and looks at the entry again.
void ConnectDelivery::DropOldSlots() {
  absl::flat_hash_set<std::pair<uint64_t, uint64_t>> used;
  for (const connect_key& key : KeysOf<connect_key>(programs_->services())) {
    connect_service entry{};
    if (bpf_map_lookup_elem(programs_->services(), &key, &entry) == 0) used.emplace(entry.id, entry.generation);
  }
  for (const connect_slot_key& key : KeysOf<connect_slot_key>(programs_->slots())) {
    if (!used.contains({key.service, key.generation})) bpf_map_delete_elem(programs_->slots(), &key);
  }
}

// An endpoint keeps its counters while it is in the map, ready or not, and until its last socket has closed.
void ConnectDelivery::DropOldCounters() {
  absl::erase_if(leaving_, [this](uint64_t id) {
    if (listed_.contains(id) || Counters(id).open != 0) return false;
    const bool service = std::any_of(known_.begin(), known_.end(), [id](const auto& known) { return ServiceId(known.first) == id; });
    if (!service) bpf_map_delete_elem(programs_->counters(), &id);
    return true;
  });
}

absl::Status ConnectDelivery::Attach() {
  absl::Status status;
  cgroup_ids_.clear();
  for (const std::string& cgroup : cgroups_) status.Update(AttachTo(cgroup));
  for (const std::string& name : pins_.Names()) {
    if (!Unwanted(name)) continue;
    status.Update(DropPin(pins_, name));
    links_.erase(name);
  }
  return status;
}

bool ConnectDelivery::Unwanted(const std::string& pin) const {
  if (!pin.starts_with(kLinkPin)) return pin.starts_with("v") && !pin.starts_with(absl::StrCat("v", CONNECT_ABI, "-"));
  const bool udp = std::any_of(known_.begin(), known_.end(), [](const auto& known) { return known.second.udp; });
  for (const Hook& hook : kHooks) {
    if (hook.udp && !udp) continue;
    for (const uint64_t cgroup : cgroup_ids_) {
      if (pin == LinkPin(cgroup, hook.program)) return false;
    }
  }
  // Sockets of a cgroup that has left are counted to their close all the same.
  return !pin.ends_with(absl::StrCat("-", kHooks[0].program)) || !AnyOpen();
}

bool ConnectDelivery::AnyOpen() const {
  const std::vector<uint64_t> ids = KeysOf<uint64_t>(programs_->counters());
  return std::any_of(ids.begin(), ids.end(), [this](uint64_t id) { return Counters(id).open != 0; });
}

absl::Status ConnectDelivery::AttachTo(const std::string& cgroup) {
  const UniqueFd folder(open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) return BpfError(errno, absl::StrCat("connect: cgroup ", cgroup));
  struct stat status {};
  struct statfs system {};
  if (fstat(folder.get(), &status) != 0 || fstatfs(folder.get(), &system) != 0) return BpfError(errno, cgroup);
  if (system.f_type != CGROUP2_SUPER_MAGIC) {
    return absl::InvalidArgumentError(absl::StrCat("connect: ", cgroup, ": wanted a directory of a cgroup v2 file system"));
  }
  cgroup_ids_.insert(status.st_ino);
  for (const Hook& hook : kHooks) {
    const std::string pin = LinkPin(status.st_ino, hook.program);
    if (Unwanted(pin) || (links_.contains(pin) && access(pins_.PathOf(pin).c_str(), F_OK) == 0)) continue;
    const bpf_program* program = bpf_object__find_program_by_name(programs_->object->obj, hook.program);
    absl::StatusOr<UniqueFd> link = CreatePinnedLink(pins_, pin, bpf_program__fd(program), folder.get(), hook.type);
    if (!link.ok()) return absl::Status(link.status().code(), absl::StrCat("connect: cgroup ", cgroup, ": ", hook.program, ": ", std::string(link.status().message())));
    links_.insert(pin);
  }
  return absl::OkStatus();
}

connect_counters ConnectDelivery::Counters(uint64_t id) const {
  connect_counters counters{};
  bpf_map_lookup_elem(programs_->counters(), &id, &counters);
  return counters;
}

connect_counters ConnectDelivery::OfEndpoint(const std::string& identity) const { return Counters(StableId(identity)); }

connect_counters ConnectDelivery::OfService(const std::string& name) const { return Counters(ServiceId(name)); }

absl::Status ConnectDelivery::Detach(const std::string& pin_folder) {
  if (!PinClaim::IsFree(pin_folder)) return absl::OkStatus();
  const absl::StatusOr<PinClaim> claim = PinClaim::Take(pin_folder, kWords, {});
  if (!claim.ok()) return claim.status();
  const absl::StatusOr<PinDirectory> pins = PinDirectory::Open(pin_folder);
  if (!pins.ok()) return pins.status();
  absl::Status status;
  for (const std::string& name : pins->Names()) status.Update(DropPin(*pins, name));
  status.Update(PinDirectory::Remove(pin_folder));
  rmdir(std::filesystem::path(pin_folder).parent_path().c_str());  // not while another delivery has something in it
  return status;
}

}  // namespace ringway::dp
