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

#include "absl/strings/str_cat.h"
#include "common/log/log.h"
#include "dataplane/feed/address.h"
#include "dataplane/kernel/bpf_link.h"
#include "dataplane/kernel/bpf_object.h"
#include "dataplane/kernel/connect_table.h"

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

constexpr char kLinkPrefix[] = "link-";

// A map of another ABI is another map: both are there until the links lead to the new one.
std::string MapPin(const bpf_map* map) { return absl::StrCat("v", CONNECT_ABI, "-", bpf_map__name(map)); }

std::string LinkPin(uint64_t cgroup, const char* program) { return absl::StrCat(kLinkPrefix, cgroup, "-", program); }

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

uint64_t NetnsCookie() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0) return 0;
  return cookie;
}

uint64_t UnixNanoseconds() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

// Unpinning alone lets a link go only after a while (RCU).
absl::Status DropPin(const PinDirectory& pins, const std::string& name) {
  if (name.starts_with(kLinkPrefix)) {
    if (absl::StatusOr<UniqueFd> link = pins.Get(name); link.ok()) bpf_link_detach(link->get());
  }
  return pins.Unpin(name);
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

ConnectDelivery::ConnectDelivery(std::unique_ptr<Programs> programs, PinDirectory pins)
    : programs_(std::move(programs)), pins_(std::move(pins)), netns_(NetnsCookie()) {
  for (const uint64_t id : KeysOf<uint64_t>(programs_->counters())) leaving_.insert(id);
  for (const uint64_t id : KeysOf<uint64_t>(programs_->ready())) ready_.insert(id);
}

ConnectDelivery::~ConnectDelivery() = default;

absl::StatusOr<std::unique_ptr<ConnectDelivery>> ConnectDelivery::Start(const std::string& pin_folder, const std::string& log_folder) {
  absl::StatusOr<PinDirectory> pins = PinDirectory::Open(pin_folder);
  if (!pins.ok()) return pins.status();
  absl::StatusOr<BpfObject<connect_bpf>> object = BpfObject<connect_bpf>::Open("connect", log_folder);
  if (!object.ok()) return object.status();
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, (*object)->obj) {
    const std::string path = pins->PathOf(MapPin(map));
    if (const int error = bpf_map__set_pin_path(map, path.c_str()); error != 0) return BpfError(error, path);
  }
  if (absl::Status s = object->Load(); !s.ok()) return s;
  return std::unique_ptr<ConnectDelivery>(new ConnectDelivery(std::make_unique<Programs>(Programs{*std::move(object)}), *std::move(pins)));
}

absl::Status ConnectDelivery::Apply(const std::vector<ConnectService>& services, const std::vector<std::string>& cgroups) {
  tables_ = absl::OkStatus();
  AddReady(services);
  for (const ConnectService& service : services) tables_.Update(Write(service));
  tables_.Update(RemoveOthers(services));
  DropUnready(services);
  slots_old_ = true;
  cgroups_ = cgroups;
  attached_ = Attach();
  return status();
}

// Readiness is told before a table names an endpoint, and taken back after the last one that did.
void ConnectDelivery::AddReady(const std::vector<ConnectService>& services) {
  const uint64_t yes = 1;
  const connect_counters zero{};
  for (const ConnectService& service : services) {
    const uint64_t id = ServiceId(service.name);
    bpf_map_update_elem(programs_->counters(), &id, &zero, BPF_NOEXIST);
    for (const ConnectTarget& target : service.ready) {
      const uint64_t endpoint = StableId(target.identity);
      leaving_.erase(endpoint);
      if (!ready_.insert(endpoint).second) continue;
      bpf_map_update_elem(programs_->counters(), &endpoint, &zero, BPF_NOEXIST);
      bpf_map_update_elem(programs_->ready(), &endpoint, &yes, BPF_ANY);
    }
  }
}

void ConnectDelivery::DropUnready(const std::vector<ConnectService>& services) {
  absl::flat_hash_set<uint64_t> wanted;
  for (const ConnectService& service : services) {
    for (const ConnectTarget& target : service.ready) wanted.insert(StableId(target.identity));
  }
  for (const uint64_t id : ready_) {
    if (wanted.contains(id)) continue;
    bpf_map_delete_elem(programs_->ready(), &id);
    leaving_.insert(id);
  }
  ready_ = std::move(wanted);
}

absl::Status ConnectDelivery::RemoveOthers(const std::vector<ConnectService>& services) {
  absl::Status status;
  for (const connect_key& key : KeysOf<connect_key>(programs_->services())) {
    const auto same = [&key](const ConnectService& service) {
      return std::any_of(service.addresses.begin(), service.addresses.end(), [&](const IpAddress& address) {
        const connect_key other = KeyOf(service, address);
        return std::memcmp(&key, &other, sizeof(key)) == 0;
      });
    };
    if (std::any_of(services.begin(), services.end(), same)) continue;
    if (bpf_map_delete_elem(programs_->services(), &key) != 0) status.Update(BpfError(errno, "connect: a service that left"));
  }
  absl::erase_if(known_, [&services](const auto& known) {
    return std::none_of(services.begin(), services.end(), [&known](const ConnectService& s) { return s.name == known.first; });
  });
  return status;
}

// The slots first, then the entry that leads to them: a connect in between finds the old table whole.
absl::Status ConnectDelivery::Write(const ConnectService& service) {
  const auto known = known_.find(service.name);
  if (known != known_.end() && known->second.service == service) return absl::OkStatus();
  std::vector<connect_endpoint> endpoints;
  endpoints.reserve(service.ready.size());
  for (const ConnectTarget& target : service.ready) endpoints.push_back(EndpointOf(target));
  generation_ = std::max(generation_ + 1, UnixNanoseconds());
  const uint64_t id = ServiceId(service.name);
  if (absl::Status s = WriteSlots(id, generation_, MakeAliasTable(endpoints)); !s.ok()) return s;
  for (const IpAddress& address : service.addresses) {
    if (absl::Status s = WriteEntry(service, address, generation_); !s.ok()) return s;
  }
  known_[service.name] = {service, generation_};
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

absl::Status ConnectDelivery::WriteSlots(uint64_t id, uint64_t generation, const std::vector<connect_slot>& slots) {
  for (size_t i = 0; i < slots.size(); ++i) {
    const connect_slot_key key{id, generation, i};
    if (bpf_map_update_elem(programs_->slots(), &key, &slots[i], BPF_ANY) == 0) continue;
    return BpfError(errno, absl::StrCat("connect: slot ", i, " of ", slots.size()));
  }
  return absl::OkStatus();
}

void ConnectDelivery::Tick() {
  if (std::exchange(slots_old_, false)) DropOldSlots();
  DropOldCounters();
  attached_ = Attach();
}

// A second after the last change nobody looks at an earlier generation any more.
void ConnectDelivery::DropOldSlots() {
  absl::flat_hash_map<uint64_t, uint64_t> current;
  for (const auto& [name, known] : known_) current[ServiceId(name)] = known.generation;
  for (const connect_slot_key& key : KeysOf<connect_slot_key>(programs_->slots())) {
    const auto found = current.find(key.service);
    if (found == current.end() || found->second != key.generation) bpf_map_delete_elem(programs_->slots(), &key);
  }
}

// An endpoint that is not ready keeps its counters until its last socket has closed.
void ConnectDelivery::DropOldCounters() {
  absl::erase_if(leaving_, [this](uint64_t id) {
    if (Counters(id).open != 0) return false;
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
  if (!pin.starts_with(kLinkPrefix)) return !pin.starts_with(absl::StrCat("v", CONNECT_ABI, "-"));
  const bool udp = std::any_of(known_.begin(), known_.end(), [](const auto& known) { return known.second.service.udp; });
  for (const Hook& hook : kHooks) {
    if (hook.udp && !udp) continue;
    for (const uint64_t cgroup : cgroup_ids_) {
      if (pin == LinkPin(cgroup, hook.program)) return false;
    }
  }
  return true;
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
  if (access(pin_folder.c_str(), F_OK) != 0) return absl::OkStatus();
  absl::StatusOr<PinDirectory> pins = PinDirectory::Open(pin_folder);
  if (!pins.ok()) return pins.status();
  absl::Status status;
  for (const std::string& name : pins->Names()) status.Update(DropPin(*pins, name));
  status.Update(PinDirectory::Remove(pin_folder));
  return status;
}

}  // namespace ringway::dp
